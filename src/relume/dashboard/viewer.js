// The large view: fit to the window or one pixel to one pixel, with the same slider.

import { loadStyle, loadTemplate } from './assets.js';
import { onLanguageChange, t, translate } from './i18n.js';
import { makeSlider } from './slider.js';

await loadStyle('styles/viewer.css');
document.body.append(await loadTemplate('views/viewer.html'));

const dialog = document.getElementById('viewer');
const part = (name) => dialog.querySelector(`[data-part=${name}]`);

let viewer = null;

/** Opens the one viewer of the page. `siblings`: the photos to turn to, `photo` among them. */
export function openViewer(photo, siblings) {
  viewer ??= new Viewer();
  viewer.open(photo, siblings);
}

class Viewer {
  #photo = null;
  #slider = null;
  #originalUrl = null;
  #siblings = [];

  constructor() {
    onLanguageChange(() => translate(dialog));
    part('close').addEventListener('click', () => dialog.close());
    part('fit').addEventListener('click', () => this.#zoom(false));
    part('actual').addEventListener('click', () => this.#zoom(true));
    part('previous').addEventListener('click', () => this.#turn(-1));
    part('next').addEventListener('click', () => this.#turn(+1));
    dialog.addEventListener('close', () => this.#forgetOriginal());
    enablePanning(part('scroller'));
  }

  open(photo, siblings) {
    this.#photo = photo;
    this.#siblings = siblings;
    this.#draw();
    this.#zoom(false);
    if (!dialog.open) dialog.showModal();
    this.#slider.handle.focus({ focusVisible: false });
  }

  #draw() {
    const { name, resultPath, downloadName } = this.#photo;
    part('name').textContent = name;
    part('size').textContent = '';
    Object.assign(part('download'), { href: resultPath, download: downloadName });
    const index = this.#siblings.indexOf(this.#photo);
    part('previous').disabled = index <= 0;
    part('next').disabled = index === this.#siblings.length - 1;
    this.#slider = makeSlider(part('canvas'));
    this.#drawBefore();
    this.#drawAfter();
  }

  #drawBefore() {
    this.#forgetOriginal();
    const { file, previewUrl, name } = this.#photo;
    const { before, root } = this.#slider;
    before.hidden = !previewUrl;
    root.classList.toggle('is-alone', !previewUrl);
    if (!previewUrl) return;
    this.#originalUrl = file ? URL.createObjectURL(file) : null;
    before.src = this.#originalUrl ?? previewUrl;
    before.alt = t('card.original', { name });
  }

  #drawAfter() {
    const { after } = this.#slider;
    after.addEventListener('load', () => {
      const { naturalWidth: width, naturalHeight: height } = after;
      part('size').textContent = `${width} × ${height}`;
      part('canvas').style.setProperty('--ratio', width / height);
      part('canvas').style.setProperty('--actual-width', `${width / devicePixelRatio}px`);
    });
    after.alt = t('card.result', { name: this.#photo.name });
    after.src = this.#photo.resultPath;
  }

  #zoom(isActual) {
    part('fit').setAttribute('aria-pressed', String(!isActual));
    part('actual').setAttribute('aria-pressed', String(isActual));
    part('scroller').classList.toggle('is-actual', isActual);
    this.#slider.root.classList.toggle('pans', isActual);
    const { scrollWidth, clientWidth, scrollHeight, clientHeight } = part('scroller');
    part('scroller').scrollTo((scrollWidth - clientWidth) / 2, (scrollHeight - clientHeight) / 2);
  }

  #turn(by) {
    const neighbour = this.#siblings[this.#siblings.indexOf(this.#photo) + by];
    if (neighbour) this.open(neighbour, this.#siblings);
  }

  #forgetOriginal() {
    if (this.#originalUrl) URL.revokeObjectURL(this.#originalUrl);
    this.#originalUrl = null;
  }
}

/** Drag the picture with the mouse to look around; touch screens scroll by themselves. */
function enablePanning(scroller) {
  let from = null;
  scroller.addEventListener('pointerdown', (event) => {
    const onHandle = event.target.closest('[role=slider]');
    if (event.pointerType === 'touch' || onHandle || !scroller.classList.contains('is-actual')) return;
    from = { x: event.clientX + scroller.scrollLeft, y: event.clientY + scroller.scrollTop };
    scroller.setPointerCapture(event.pointerId);
    event.preventDefault();
  });
  scroller.addEventListener('pointermove', (event) => {
    if (from) scroller.scrollTo(from.x - event.clientX, from.y - event.clientY);
  });
  for (const end of ['pointerup', 'pointercancel']) scroller.addEventListener(end, () => (from = null));
}
