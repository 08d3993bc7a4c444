// One picture from words as the person sees it: the frame it will fill, its state, how it was made.

import { money } from './estimates.js';
import { number, percent, t } from './i18n.js';
import { JobCard } from './jobcard.js';
import { inPixels } from './studio.js';

export class PictureCard extends JobCard {
  #shown = null;

  /** @param actions {zoom, reuse, retry, cancel, remove} */
  constructor(picture, actions) {
    super(picture, actions);
    this.element.classList.add('picture');
    this.part('icon').setAttribute('href', '#i-generate');
    this.part('no-preview').hidden = true;
    this.render = this.render.bind(this);
    picture.addEventListener('change', this.render);
    this.relabel();
  }

  /** The picture lives on without this card. */
  forget() {
    this.photo.removeEventListener('change', this.render);
    this.element.remove();
  }

  drawPicture() {
    const { photo: picture } = this;
    const { width, height } = picture.options;
    this.element.style.setProperty('--ratio', width / height);
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
    image.addEventListener('error', () => this.photo.update({ state: 'failed', error: { code: 'expired' } }));
    image.src = this.photo.resultPath;
    return image;
  }

  get state() {
    const { state, progress } = this.photo;
    return t(`generate.state.${state}`, { percent: percent(progress) });
  }

  get details() {
    return detailsOf(this.photo);
  }

  get offers() {
    const { state, isActive } = this.photo;
    const done = state === 'done';
    return {
      zoom: done,
      download: done,
      reuse: !isActive,
      retry: state === 'failed' || state === 'cancelled',
      cancel: isActive && state !== 'cancelling',
      remove: !isActive,
    };
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
