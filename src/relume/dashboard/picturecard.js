// One picture from words as the person sees it: the frame it will fill, its state, how it was made.

import { money } from './estimates.js';
import { explain, number, percent, t, translate } from './i18n.js';
import { inPixels } from './studio.js';

export class PictureCard {
  #shown = null;

  /** @param actions {zoom, reuse, retry, cancel, remove}: each is called with the picture */
  constructor(template, picture, actions) {
    this.picture = picture;
    this.element = template.content.firstElementChild.cloneNode(true);
    this.part = (name) => this.element.querySelector(`[data-part=${name}]`);
    for (const button of this.element.querySelectorAll('button[data-do]')) {
      button.addEventListener('click', () => actions[button.dataset.do](picture));
    }
    this.render = this.render.bind(this);
    picture.addEventListener('change', this.render);
    this.relabel();
  }

  /** The picture lives on without this card. */
  forget() {
    this.picture.removeEventListener('change', this.render);
    this.element.remove();
  }

  relabel() {
    translate(this.element);
    this.render();
  }

  render() {
    const { picture } = this;
    const { width, height } = picture.options;
    this.element.dataset.state = picture.state;
    this.element.style.setProperty('--progress', picture.progress);
    this.element.style.setProperty('--ratio', width / height);
    this.#renderFrame();
    this.#renderWords();
    this.#renderProgress();
    this.#renderActions();
  }

  #renderFrame() {
    const { picture } = this;
    this.part('placeholder').hidden = picture.state === 'done';
    this.part('mock-mark').hidden = picture.made?.source !== 'mock';
    if (picture.state !== 'done') {
      this.part('frame').replaceChildren();
      this.#shown = null;
    } else if (this.#shown !== picture.resultPath) {
      this.#shown = picture.resultPath;
      this.part('frame').replaceChildren(this.#image());
    }
    const image = this.part('frame').querySelector('img');
    if (image) image.alt = t('generate.picture', { prompt: picture.name });
  }

  #image() {
    const image = Object.assign(new Image(), { decoding: 'async' });
    image.addEventListener('error', () => this.picture.update({ state: 'failed', error: { code: 'expired' } }));
    image.src = this.picture.resultPath;
    return image;
  }

  #renderWords() {
    const { picture } = this;
    this.part('name').textContent = picture.name;
    this.part('name').title = picture.name;
    this.part('state').textContent = t(`generate.state.${picture.state}`, { percent: percent(picture.progress) });
    this.part('error').textContent = picture.isInTrouble ? explain(picture.error) : '';
    this.part('details').textContent = picture.isInTrouble ? '' : detailsOf(picture);
  }

  #renderProgress() {
    const { picture } = this;
    const bar = this.part('progress');
    bar.classList.toggle('is-shown', picture.isActive);
    bar.setAttribute('aria-label', t('card.progress', { name: picture.name }));
    bar.setAttribute('aria-valuenow', Math.round(picture.progress * 100));
    bar.setAttribute('aria-hidden', String(!picture.isActive));
  }

  #renderActions() {
    const { state, isActive, name, resultPath, downloadName } = this.picture;
    const done = state === 'done';
    const shown = {
      'card.zoom': done,
      'card.download': done,
      'generate.reuse': !isActive,
      'card.retry': state === 'failed' || state === 'cancelled',
      'card.cancel': isActive && state !== 'cancelling',
      'card.remove': !isActive,
    };
    for (const [key, isShown] of Object.entries(shown)) {
      const button = this.element.querySelector(`[data-do=${key.split('.')[1]}]`);
      button.hidden = !isShown;
      button.setAttribute('aria-label', t('card.named', { action: t(key), name }));
      if (button.classList.contains('icon-button')) button.title = t(key);
    }
    if (done) Object.assign(this.element.querySelector('[data-do=download]'), { href: resultPath, download: downloadName });
  }
}

/** What was asked for and, once it is known, who drew it in how long at what cost. */
function detailsOf({ options, width, height, made }) {
  const size = inPixels(width ? { width, height } : options);
  const seed = made?.seed ?? options.seed;
  return [
    size,
    ...(made ? [made.source === 'mock' ? t('generate.isMock') : made.model] : [options.model]),
    ...(seed === undefined || seed === null ? [] : [t('generate.seedWas', { seed })]),
    ...(made?.seconds >= 0.05 ? [t('generate.seconds', { seconds: number(Math.round(made.seconds * 10) / 10) })] : []),
    ...(made?.cost ? [money(made.cost)] : []),
  ].join(' · ');
}
