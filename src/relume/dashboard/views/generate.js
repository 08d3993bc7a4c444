// Generate: pictures from words, drawn by whoever is configured to. What was asked for goes on while
// the person looks at other views, and after a reload.

import { announce } from '../announce.js';
import { loadStyle, loadTemplate } from '../assets.js';
import { onChange } from '../changes.js';
import { drawersOf } from '../drawing.js';
import { explain, onLanguageChange, t } from '../i18n.js';
import { ask, howMade, Picture, recallPictures, rememberPictures } from '../picture.js';
import { PictureCard } from '../picturecard.js';
import { briefly } from '../patience.js';
import { Studio } from '../studio.js';
import { Watcher } from '../watch.js';

let pictures = null; // newest first; they outlive the view
let watcher = null;

export async function mount(root, { api, openViewer }) {
  await loadStyle('styles/generate.css');
  root.append(await loadTemplate('views/generate.html'));
  takeUpWhereLeft(api);
  const view = new GenerateView(root, api, openViewer);
  const stopListening = onLanguageChange(() => view.relabel());
  const stopHearing = onChange('deleted', ({ jobs }) => view.deleted(jobs));
  await briefly(view.start());
  return () => {
    stopListening();
    stopHearing();
    view.stop();
  };
}

function takeUpWhereLeft(api) {
  if (pictures) return;
  watcher = new Watcher(api);
  pictures = recallPictures();
  for (const picture of pictures) follow(api, picture);
}

/** Tells what becomes of a picture, whichever view is shown. */
function follow(api, picture) {
  let before = picture.state;
  picture.addEventListener('change', () => {
    const { state } = picture;
    if (state === before) return;
    before = state;
    rememberPictures(pictures);
    if (state === 'done') tellHowMade(api, picture);
    if (state === 'done') announce(t('generate.announceDone', { prompt: picture.name }));
    if (state === 'failed') announce(t('announce.failed', { name: picture.name, error: explain(picture.error) }));
  });
  if (picture.jobId && picture.isActive) watcher.add(picture);
}

async function tellHowMade(api, picture) {
  try {
    picture.update(await howMade(api, picture));
    rememberPictures(pictures);
  } catch {
    // The picture is there; how it was made stays untold.
  }
}

class GenerateView {
  #cards = new Map(); // picture → PictureCard
  #error = null;

  constructor(root, api, openViewer) {
    Object.assign(this, { api, openViewer });
    this.part = (name) => root.querySelector(`[data-part=${name}]`);
    this.studio = new Studio(root, (options) => this.#draw(options));
    this.part('again').addEventListener('click', () => {
      api.mayAskAgain();
      this.#offer();
    });
    this.actions = {
      zoom: (picture) => openViewer(picture, pictures.filter(({ state }) => state === 'done')),
      reuse: (picture) => this.studio.fill(picture.options),
      retry: (picture) => this.#retry(picture),
      cancel: (picture) => this.#cancel(picture),
      remove: (picture) => this.#remove(picture),
    };
  }

  start() {
    for (const picture of pictures) this.part('cards').append(this.#card(picture));
    this.#showDrawn();
    return this.#offer();
  }

  stop() {
    for (const card of this.#cards.values()) card.forget();
  }

  relabel() {
    this.studio.relabel();
    for (const card of this.#cards.values()) card.relabel();
    if (this.#error) this.part('why').textContent = explain(this.#error);
  }

  async #offer() {
    this.#error = null;
    try {
      const { models, isMock } = drawersOf(await this.api.json('info'));
      this.studio.offer(models);
      this.part('nobody').hidden = models.length > 0;
      this.part('mock').hidden = !isMock;
    } catch (error) {
      this.#error = error;
      this.part('why').textContent = explain(error);
    }
    this.part('unknown').hidden = !this.#error;
  }

  #card(picture) {
    const card = new PictureCard(picture, this.actions);
    this.#cards.set(picture, card);
    return card.element;
  }

  #showDrawn() {
    this.part('drawn').hidden = !pictures.length;
  }

  deleted(ids) {
    for (const picture of pictures.filter(({ jobId }) => ids.includes(jobId))) this.#remove(picture);
  }

  #draw(options) {
    this.api.mayAskAgain();
    const picture = new Picture({ name: options.prompt, options });
    pictures.unshift(picture);
    follow(this.api, picture);
    this.part('cards').prepend(this.#card(picture));
    this.#showDrawn();
    announce(t('generate.announceAsked'));
    this.#send(picture);
  }

  async #send(picture) {
    try {
      const jobId = await ask(this.api, picture);
      if (!jobId) return;
      const isUnwanted = picture.state === 'cancelled';
      picture.update({ jobId, ...(isUnwanted ? {} : { state: 'queued' }) });
      rememberPictures(pictures);
      if (isUnwanted) await this.api.cancel(jobId);
      else watcher.add(picture);
    } catch ({ code, detail }) {
      if (picture.state !== 'cancelled') picture.update({ state: 'failed', error: { code, detail } });
    }
  }

  #retry(picture) {
    this.api.mayAskAgain();
    picture.restart();
    picture.update({ made: null });
    this.#send(picture);
  }

  async #cancel(picture) {
    const { state, jobId } = picture;
    if (!jobId) return picture.update({ state: 'cancelled', progress: 0 });
    picture.update({ state: 'cancelling' });
    try {
      await this.api.cancel(jobId);
    } catch {
      if (picture.state === 'cancelling') picture.update({ state }); // It goes on, or has just ended.
      return;
    }
    if (picture.state !== 'cancelling') return;
    watcher.forget(picture);
    picture.update({ state: 'cancelled', progress: 0 });
  }

  #remove(picture) {
    const { element } = this.#cards.get(picture);
    const neighbour = element.nextElementSibling ?? element.previousElementSibling;
    this.#cards.get(picture).forget();
    this.#cards.delete(picture);
    pictures = pictures.filter((other) => other !== picture);
    rememberPictures(pictures);
    this.#showDrawn();
    (neighbour?.querySelector('button:not([hidden])') ?? this.studio.form.elements.prompt).focus();
  }
}
