// What the cards of Start and of Generate have in common: name, state, progress, errors, what can be done.

import { explain, t, translate } from './i18n.js';

const template = document.getElementById('card-template');

/**
 * A card of one Photo. What extends it tells, by getters, `state` and `details` in words and what it `offers`, an
 * object of the names of actions and whether each can be done now; and draws what is in the frame by `drawPicture`.
 */
export class JobCard {
  /** @param actions {name: (photo) => …}, one for each button that is ever offered */
  constructor(photo, actions) {
    this.photo = photo;
    this.element = template.content.firstElementChild.cloneNode(true);
    this.part = (name) => this.element.querySelector(`[data-part=${name}]`);
    this.action = (name) => this.element.querySelector(`[data-action=${name}]`);
    for (const button of this.element.querySelectorAll('button[data-action]')) {
      button.addEventListener('click', () => actions[button.dataset.action](photo));
    }
  }

  relabel() {
    translate(this.element);
    this.render();
  }

  render() {
    const { photo, element } = this;
    element.dataset.state = photo.state;
    element.style.setProperty('--progress', photo.progress);
    this.drawPicture();
    this.#renderWords();
    this.#renderProgress();
    this.#renderActions();
  }

  #renderWords() {
    const { photo, part } = this;
    part('name').textContent = part('name').title = photo.name;
    part('state').textContent = this.state;
    part('error').textContent = photo.isInTrouble ? explain(photo.error) : '';
    part('details').textContent = photo.isInTrouble ? '' : this.details;
  }

  #renderProgress() {
    const { name, isActive, progress } = this.photo;
    const bar = this.part('progress');
    bar.classList.toggle('is-shown', isActive);
    bar.setAttribute('aria-label', t('card.progress', { name }));
    bar.setAttribute('aria-valuenow', Math.round(progress * 100));
    bar.setAttribute('aria-hidden', String(!isActive));
  }

  #renderActions() {
    const { name, state, resultPath, downloadName } = this.photo;
    for (const [action, isOffered] of Object.entries(this.offers)) {
      const button = this.action(action);
      button.hidden = !isOffered;
      button.setAttribute('aria-label', t('card.named', { action: t(`card.${action}`), name }));
      if (button.classList.contains('icon-button')) button.title = t(`card.${action}`);
    }
    if (state === 'done') Object.assign(this.action('download'), { href: resultPath, download: downloadName });
  }
}
