// One photo as the person sees it: picture, state in plain words, progress, what can be done.

import { thumbnailPath } from './api.js';
import { nextFrame } from './frame.js';
import { explain, has, number, percent, t, translate } from './i18n.js';
import { makeSlider } from './slider.js';

const template = document.getElementById('card-template');
const sameOptions = (one, other) => JSON.stringify(one) === JSON.stringify(other);

export class Card {
  #slider = null;
  #shown = null; // the picture the frame shows now

  /** @param actions {cancel, retry, force, again, remove, zoom}: each is called with the photo */
  constructor(photo, actions, currentOptions) {
    this.photo = photo;
    this.currentOptions = currentOptions;
    this.element = template.content.firstElementChild.cloneNode(true);
    for (const button of this.element.querySelectorAll('button[data-action]')) {
      button.addEventListener('click', () => actions[button.dataset.action](photo));
    }
    const draw = () => this.render();
    photo.addEventListener('change', () => nextFrame(draw));
    this.render();
  }

  get #parts() {
    const part = (name) => this.element.querySelector(`[data-part=${name}]`);
    return { part, action: (name) => this.element.querySelector(`[data-action=${name}]`) };
  }

  render() {
    const { photo } = this;
    this.element.dataset.state = photo.state;
    this.element.style.setProperty('--progress', photo.progress);
    if (photo.width) this.element.style.setProperty('--ratio', photo.width / photo.height);
    this.#renderPicture();
    this.#renderWords();
    this.#renderProgress();
    this.#renderActions();
  }

  relabel() {
    translate(this.element);
    this.render();
  }

  #renderPicture() {
    const { photo } = this;
    if (photo.state === 'done') this.#show(photo.resultPath, () => this.#compare());
    else if (photo.previewUrl) this.#show(photo.previewUrl, () => this.#preview());
    else if (this.#slider) this.#show(null, () => this.#parts.part('frame').replaceChildren());
    if (this.#slider && photo.previewUrl) this.#showBefore(photo.previewUrl);
    this.#parts.part('placeholder').hidden = Boolean(photo.previewUrl || this.#slider);
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
    this.#parts.part('frame').replaceChildren(image);
  }

  #compare() {
    this.#slider = makeSlider(this.#parts.part('frame'));
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
    const frame = this.#parts.part('frame');
    for (const image of frame.querySelectorAll('img')) {
      const isResult = image.classList.contains('compare-after');
      image.alt = t(isResult ? 'card.result' : 'card.original', { name });
    }
    translate(frame);
  }

  #renderWords() {
    const { photo } = this;
    const { part } = this.#parts;
    part('name').textContent = photo.name;
    part('name').title = photo.name;
    part('state').textContent = stateInWords(photo);
    part('error').textContent = photo.isInTrouble ? errorInWords(photo.error) : '';
    part('details').textContent = photo.isInTrouble ? '' : detailsOf(photo);
  }

  #renderProgress() {
    const { photo } = this;
    const bar = this.#parts.part('progress');
    bar.classList.toggle('is-shown', photo.isActive);
    bar.setAttribute('aria-label', t('card.progress', { name: photo.name }));
    bar.setAttribute('aria-valuenow', Math.round(photo.progress * 100));
    bar.setAttribute('aria-hidden', String(!photo.isActive));
  }

  #renderActions() {
    const { photo } = this;
    const done = photo.state === 'done';
    const canResend = Boolean(photo.file) || (photo.error?.code ?? '').startsWith('key_');
    const shown = {
      cancel: photo.isActive && photo.state !== 'cancelling',
      retry: (photo.state === 'failed' || photo.state === 'cancelled') && canResend,
      force: photo.state === 'refused' && photo.error.code === 'too_large_here',
      again: done && Boolean(photo.file) && !sameOptions(photo.options, this.currentOptions()),
      remove: !photo.isActive,
      zoom: done,
      download: done,
    };
    for (const [name, isShown] of Object.entries(shown)) this.#renderAction(name, isShown);
    if (done) this.#offerDownload();
  }

  #renderAction(name, isShown) {
    const button = this.#parts.action(name);
    button.hidden = !isShown;
    button.setAttribute('aria-label', t('card.named', { action: t(`card.${name}`), name: this.photo.name }));
  }

  #offerDownload() {
    const link = this.#parts.action('download');
    link.href = this.photo.resultPath;
    link.download = this.photo.downloadName;
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

function errorInWords({ code, detail, megabytes }) {
  if (megabytes) return t(`error.${code}`, { size: `${number(Math.round(megabytes))} MB` });
  return explain({ code, detail });
}

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
