// One photo of Start as the person sees it: picture, state in plain words, what can be done.

import { thumbnailPath } from './api.js';
import { nextFrame } from './frame.js';
import { has, number, percent, t, translate } from './i18n.js';
import { JobCard } from './jobcard.js';
import { makeSlider } from './slider.js';

const sameOptions = (one, other) => JSON.stringify(one) === JSON.stringify(other);

export class Card extends JobCard {
  #slider = null;
  #shown = null; // the picture the frame shows now

  /** @param actions {cancel, retry, force, again, remove, zoom} */
  constructor(photo, actions, currentOptions) {
    super(photo, actions);
    this.currentOptions = currentOptions;
    const draw = () => this.render();
    photo.addEventListener('change', () => nextFrame(draw));
    draw();
  }

  drawPicture() {
    const { photo } = this;
    if (photo.width) this.element.style.setProperty('--ratio', photo.width / photo.height);
    if (photo.state === 'done') this.#show(photo.resultPath, () => this.#compare());
    else if (photo.previewUrl) this.#show(photo.previewUrl, () => this.#preview());
    else if (this.#slider) this.#show(null, () => this.part('frame').replaceChildren());
    if (this.#slider && photo.previewUrl) this.#showBefore(photo.previewUrl);
    this.part('placeholder').hidden = Boolean(photo.previewUrl || this.#slider);
    this.#describePicture();
  }

  #show(source, draw) {
    if (this.#shown === source) return;
    this.#shown = source;
    this.#slider = null;
    draw();
  }

  #preview() {
    const image = new Image();
    image.src = this.photo.previewUrl;
    this.part('frame').replaceChildren(image);
  }

  #compare() {
    this.#slider = makeSlider(this.part('frame'));
    const { root, before, after } = this.#slider;
    root.classList.add('is-alone', 'is-loading');
    before.hidden = true;
    before.loading = 'lazy';
    before.addEventListener('load', () => root.classList.remove('is-alone'));
    before.addEventListener('error', () => (before.hidden = true)); // It is no longer kept.
    this.#showBefore(this.photo.beforePath);
    after.loading = 'lazy';
    after.addEventListener('load', () => this.#arrived(after));
    after.addEventListener('error', () => this.#withoutThumbnail(after));
    after.src = thumbnailPath(this.photo.resultPath);
  }

  #withoutThumbnail(after) {
    const { resultPath } = this.photo;
    if (after.getAttribute('src') !== resultPath) after.src = resultPath;
    else this.photo.update({ state: 'failed', error: { code: 'result_gone' } });
  }

  #showBefore(source) {
    const { before } = this.#slider;
    if (before.getAttribute('src') === source) return;
    before.hidden = false;
    before.src = source;
  }

  #arrived(after) {
    if (!this.#slider) return;
    this.element.style.setProperty('--ratio', after.naturalWidth / after.naturalHeight);
    this.#slider.root.classList.remove('is-loading');
    this.#slider.reveal();
  }

  #describePicture() {
    const { name } = this.photo;
    const frame = this.part('frame');
    for (const image of frame.querySelectorAll('img')) {
      const isResult = image.classList.contains('compare-after');
      image.alt = t(isResult ? 'card.result' : 'card.original', { name });
    }
    translate(frame);
  }

  get state() {
    return stateInWords(this.photo);
  }

  get details() {
    return detailsOf(this.photo);
  }

  get offers() {
    const { photo } = this;
    const done = photo.state === 'done';
    const canResend = Boolean(photo.file) || (photo.error?.code ?? '').startsWith('key_');
    return {
      cancel: photo.isActive && photo.state !== 'cancelling',
      retry: (photo.state === 'failed' || photo.state === 'cancelled') && canResend,
      force: photo.state === 'refused' && photo.error.code === 'too_large_here',
      again: done && Boolean(photo.file) && !sameOptions(photo.options, this.currentOptions()),
      remove: !photo.isActive,
      zoom: done,
      download: done,
    };
  }
}

function stateInWords({ state, step, progress, queuePosition, options }) {
  if (state === 'done') return t(`done.${options.purpose ?? 'repair'}`);
  if (state === 'queued' && queuePosition) return t('state.queuedAt', { position: number(queuePosition) });
  if (state === 'running' && step) return t('state.step', { step: stepName(step), percent: percent(progress) });
  if (state === 'refused') return t('state.failed');
  return t(`state.${state}`, { percent: percent(progress) });
}

const stepName = (step) => (has(`step.${step}`) ? t(`step.${step}`) : step.replaceAll('_', ' '));

function detailsOf({ state, steps, options }) {
  const told = [settingsOf(options)];
  if (options.localOnly) told.push(t('card.localOnly'));
  if (state === 'done' && steps && options.purpose !== 'cartoon') {
    const names = steps.filter((step) => has(`improved.${step}`)).map((step) => t(`improved.${step}`));
    if (names.length) told.push(t('card.steps', { steps: names.join(', ') }));
    else if (!steps.length) told.push(t('card.unchanged')); // Another provider's steps may have no words here.
  }
  return told.join(' · ');
}

function settingsOf({ purpose, strength, upscale }) {
  if (purpose === 'enlarge') return t('card.enlarged', { upscale });
  if (purpose === 'cartoon') return t('purpose.cartoon');
  return t('card.settings', { strength: percent(strength), upscale });
}
