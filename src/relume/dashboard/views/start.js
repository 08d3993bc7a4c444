// Start: brings photos in, and joins what works on them with what is seen of them.

import { announceAdded, announceDone, announceFailed } from '../announce.js';
import { Card } from '../card.js';
import { onChange } from '../changes.js';
import { Estimates, inWords } from '../estimates.js';
import { nextFrame } from '../frame.js';
import { onLanguageChange, t } from '../i18n.js';
import { startIntake } from '../intake.js';
import { currentOptions, offerModels, startOptions } from '../options.js';
import { doubt, Photo } from '../photo.js';
import { forgetPreview, previewWhenNear } from '../previews.js';
import { UploadQueue } from '../queue.js';
import { ReadyBar } from '../ready.js';
import { go } from '../router.js';
import { recall, rememberSoon } from '../session.js';
import { CompareSlider } from '../slider.js';
import { renderSummary, tellProblem } from '../summary.js';
import { Watcher } from '../watch.js';
import { downloadAll } from '../zip.js';

const byId = (id) => document.getElementById(id);
const cards = new Map(); // photo → Card, in the order of the page
const photos = () => [...cards.keys()];
const photosIn = (state) => photos().filter((photo) => photo.state === state);

let api, openViewer, watcher, queue, estimates, readyBar, modelsKnown;

const actions = {
  cancel,
  retry,
  remove,
  zoom: (photo) => openViewer(photo, photosIn('done')),
  force: (photo) => {
    photo.restart();
    queue.add(photo);
  },
  again: ({ file, name, previewUrl, width, height }) =>
    enter([new Photo({ file, name, options: currentOptions(), previewUrl, width, height })]),
};

// ── Photos come in ──────────────────────────────────────────────────────────────────────────────

async function addFiles(files, isFolder) {
  go('start');
  if (!files.length) return isFolder && tellProblem(t('error.empty_folder'));
  api.mayAskAgain();
  await modelsKnown; // Which of them is meant depends on what there is.
  const added = files.map((file) => new Photo({ file, name: file.name, options: currentOptions() }));
  announceAdded(added.length);
  enter(added);
}

async function enter(added) {
  for (const photo of added) show(photo);
  const sound = added.filter((photo) => !isDoubted(photo));
  if (!sound.length) return;
  const { isPaid } = await estimates.of(sound[0].options);
  for (const photo of sound) {
    if (photo.state !== 'waiting') continue; // Cancelled or removed in the meantime.
    if (isPaid) photo.update({ state: 'ready' });
    else queue.add(photo);
  }
}

function isDoubted(photo) {
  const error = doubt(photo.file);
  if (error) photo.update({ state: 'refused', error });
  if (!photo.previewUrl && error?.code !== 'not_image') previewWhenNear(cards.get(photo).element, photo);
  return Boolean(error);
}

function show(photo) {
  const card = new Card(photo, actions, currentOptions);
  cards.set(photo, card);
  byId('cards').append(card.element);
  card.relabel();
  let before = photo.state;
  photo.addEventListener('change', () => {
    if (photo.state !== before) stateChanged(photo);
    before = photo.state;
  });
  refresh();
}

function stateChanged(photo) {
  if (photo.state === 'done') announceDone(photo);
  if (photo.isInTrouble) announceFailed(photo);
  refresh();
}

function refresh() {
  document.body.classList.toggle('has-photos', cards.size > 0);
  rememberSoon(photos);
  nextFrame(drawSummary);
}

function drawSummary() {
  renderSummary(photos(), queue.pausedUntil);
  readyBar.refresh();
}

// ── What a card offers ──────────────────────────────────────────────────────────────────────────

async function cancel(photo) {
  if (!photo.jobId) return queue.cancel(photo);
  const { state } = photo;
  photo.update({ state: 'cancelling' });
  try {
    await api.cancel(photo.jobId);
  } catch {
    if (photo.state === 'cancelling') photo.update({ state }); // It goes on, or has just ended.
    return;
  }
  if (photo.state !== 'cancelling') return;
  watcher.forget(photo);
  photo.update({ state: 'cancelled', progress: 0 });
}

function retry(photo) {
  api.mayAskAgain();
  const code = photo.error?.code ?? '';
  if (photo.jobId && code.startsWith('key_')) {
    photo.update({ state: 'queued', error: null }); // The job exists; only the answer was withheld.
    watcher.add(photo);
    return;
  }
  // After a lost connection nobody knows whether the job exists, so the same key asks for the same one.
  if (code === 'connection') photo.update({ state: 'waiting', error: null });
  else photo.restart();
  queue.add(photo);
}

function remove(photo) {
  const { element } = cards.get(photo);
  const neighbour = element.nextElementSibling ?? element.previousElementSibling;
  forgetPreview(element);
  element.remove();
  cards.delete(photo);
  const isShared = photos().some((other) => other.previewUrl === photo.previewUrl);
  if (photo.previewUrl && !isShared) URL.revokeObjectURL(photo.previewUrl);
  refresh();
  (neighbour?.querySelector('button:not([hidden])') ?? byId('choose')).focus();
}

// ── What happens to results elsewhere on the page ───────────────────────────────────────────────

const shownOf = ({ jobs }) => photosIn('done').filter(({ jobId }) => jobs.includes(jobId));

function startHearing() {
  onChange('saved', (item) => {
    const { jobId, jobs, path: resultPath, strength } = item;
    for (const photo of shownOf(item)) photo.update({ jobId, jobs, resultPath, options: { ...photo.options, strength } });
    refresh();
  });
  onChange('deleted', (item) => shownOf(item).forEach(remove));
}

// ── The view itself ─────────────────────────────────────────────────────────────────────────────

function startGallery() {
  const part = (name) => byId('gallery').querySelector(`[data-part=${name}]`);
  part('download-all').addEventListener('click', () => downloadAll(photosIn('done'), tellProblem));
  part('cancel-all').addEventListener('click', () => {
    for (const photo of photos().filter(({ isActive }) => isActive)) cancel(photo);
  });
  part('clear').addEventListener('click', () => {
    for (const photo of photos().filter(({ isActive, state }) => !isActive && state !== 'ready')) remove(photo);
  });
  queue.addEventListener('pause', refresh);
  addEventListener('beforeunload', (event) => {
    if (!mayReload()) event.preventDefault();
  });
}

/** Photos that wait to be started take the options of now, and their new price. */
function optionsChanged() {
  for (const photo of photosIn('ready')) photo.update({ options: currentOptions() });
  for (const card of cards.values()) nextFrame(() => card.render());
  readyBar.refresh();
  tellPrice();
}

async function tellPrice() {
  const options = currentOptions();
  const estimate = await estimates.of(options);
  if (JSON.stringify(options) !== JSON.stringify(currentOptions())) return;
  const isKnown = estimate.isPaid || estimate.seconds !== null;
  const place = document.querySelector('#options [data-part=price]');
  place.textContent = isKnown ? t('estimate.each', { estimate: inWords(estimate) }) : '';
}

function takeUpWhereLeft() {
  for (const photo of recall()) {
    show(photo);
    if (photo.isActive) watcher.add(photo);
  }
}

/** Whether a reload would lose no photo. */
export const mayReload = () => !photos().some(({ isUnsent }) => isUnsent);

/** Start is in the page from the beginning and stays: photos are worked on while other views are seen. */
export function startPhotos(context) {
  let models = [];
  ({ api, openViewer } = context);
  watcher = new Watcher(api);
  queue = new UploadQueue(api, (photo) => watcher.add(photo));
  estimates = new Estimates(api, () => models);
  readyBar = new ReadyBar(estimates, () => photosIn('ready'), (ready) => {
    for (const photo of ready) {
      photo.update({ state: 'waiting' });
      queue.add(photo);
    }
  });
  // Without the list, the default model it is.
  const learnModels = () => {
    modelsKnown = api.models().then((known) => (models = known), () => []).then(offerModels).then(tellPrice);
  };
  learnModels();
  api.addEventListener('reach', () => {
    if (api.isReachable && !models.length) learnModels();
  });
  startOptions(optionsChanged);
  startIntake(addFiles);
  startGallery();
  startHearing();
  new CompareSlider(document.querySelector('.intake .compare'));
  onLanguageChange(() => {
    for (const card of cards.values()) card.relabel();
    refresh();
    tellPrice();
  });
  takeUpWhereLeft();
}
