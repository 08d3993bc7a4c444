// The viewer's buttons for zoom: fit, 100 %, 200 %. Where the picture lies is told by zoom.js.

import { percent } from './i18n.js';

const FACTORS = ['1', '2'];
const NEARLY = 0.001;

export class ZoomButtons {
  /** @param stage the element that can be looked around in; @param zoomOf () => Zoom */
  constructor(dialog, stage, zoomOf) {
    Object.assign(this, { stage, zoomOf, buttons: [...dialog.querySelectorAll('[data-zoom]')] });
    for (const button of this.buttons) button.addEventListener('click', () => this.#press(button.dataset.zoom));
  }

  /** Which of them is in force. */
  tell() {
    const zoom = this.zoomOf();
    const pressed = zoom.fits ? 'fit' : FACTORS.find((factor) => Math.abs(zoom.factor - factor) < NEARLY);
    for (const button of this.buttons) button.setAttribute('aria-pressed', String(button.dataset.zoom === pressed));
    this.stage.classList.toggle('can-pan', zoom.canPan);
  }

  relabel() {
    for (const button of this.buttons.filter(({ dataset }) => FACTORS.includes(dataset.zoom))) {
      button.textContent = percent(Number(button.dataset.zoom));
    }
  }

  #press(name) {
    if (name === 'fit') this.zoomOf().fit();
    else this.zoomOf().to(Number(name));
  }
}
