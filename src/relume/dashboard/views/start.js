// Start: brings photos in, and joins what works on them with what is seen of them.

import { announceAdded, announceDone, announceFailed } from '../announce.js';
import { Card } from '../card.js';
import { filesOf } from '../dropped.js';
import { onLanguageChange } from '../i18n.js';
import { currentOptions, offerModels, startOptions } from '../options.js';
import { doubt, Photo } from '../photo.js';
import { makePreview } from '../previews.js';
import { UploadQueue } from '../queue.js';
import { recall, remember } from '../session.js';
import { CompareSlider } from '../slider.js';
import { renderSummary } from '../summary.js';
import { Watcher } from '../watch.js';

const BETWEEN_DOWNLOADS_MS = 400; // closer together, browsers drop some

const byId = (id) => document.getElementById(id);
let api, openViewer, watcher, queue;
const cards = new Map(); // photo → Card, in the order of the page
const photos = () => [...cards.keys()];
const photosDone = () => photos().filter((photo) => photo.state === 'done');

const actions = {
  cancel,
  retry,
  remove,
  zoom,
  force: (photo) => {
    photo.restart();
    queue.add(photo);
  },
  again: ({ file, name, previewUrl, width, height }) =>
    enter([new Photo({ file, name, options: currentOptions(), previewUrl, width, height })]),
};

// ── Photos come in ──────────────────────────────────────────────────────────────────────────────

function addFiles(files) {
  if (!files.length) return;
  api.mayAskAgain();
  const added = files.map((file) => new Photo({ file, name: file.name, options: currentOptions() }));
  announceAdded(added.length);
  enter(added);
}

function enter(added) {
  for (const photo of added) {
    show(photo);
    const error = doubt(photo.file);
    if (error) photo.update({ state: 'refused', error });
    else queue.add(photo);
    if (!photo.previewUrl && error?.code !== 'not_image') makePreview(photo);
  }
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

/** The words once a frame at most, however many photos change in it. */
function refresh() {
  document.body.classList.toggle('has-photos', cards.size > 0);
  refresh.planned ??= requestAnimationFrame(() => {
    refresh.planned = null;
    renderSummary(photos(), queue.pausedUntil);
    remember(photos());
  });
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
  element.remove();
  cards.delete(photo);
  const isShared = photos().some((other) => other.previewUrl === photo.previewUrl);
  if (photo.previewUrl && !isShared) URL.revokeObjectURL(photo.previewUrl);
  refresh();
  (neighbour?.querySelector('button:not([hidden])') ?? byId('choose')).focus();
}

function zoom(photo) {
  openViewer(photo, photosDone());
}

async function downloadAll() {
  for (const photo of photosDone()) {
    cards.get(photo).element.querySelector('[data-action=download]').click();
    await new Promise((resolve) => setTimeout(resolve, BETWEEN_DOWNLOADS_MS));
  }
}

// ── The page itself ─────────────────────────────────────────────────────────────────────────────

function startIntake() {
  const input = byId('file-input');
  for (const button of [byId('choose'), byId('add')]) {
    button.addEventListener('click', () => input.click());
  }
  input.addEventListener('change', () => {
    addFiles([...input.files]);
    input.value = ''; // So that the same file can be chosen again.
  });
  document.addEventListener('paste', async (event) => addFiles(await filesOf(event.clipboardData)));
  startDrop();
}

function startDrop() {
  const bringsFiles = (event) => event.dataTransfer?.types.includes('Files');
  const over = (isOver) => document.body.classList.toggle('is-dragged-over', isOver);
  document.addEventListener('dragover', (event) => {
    if (!bringsFiles(event)) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = 'copy';
    over(true);
  });
  document.addEventListener('dragleave', (event) => event.relatedTarget ?? over(false));
  document.addEventListener('drop', async (event) => {
    over(false);
    if (!bringsFiles(event)) return;
    event.preventDefault();
    addFiles(await filesOf(event.dataTransfer));
  });
}

function startGallery() {
  const part = (name) => byId('gallery').querySelector(`[data-part=${name}]`);
  part('download-all').addEventListener('click', downloadAll);
  part('cancel-all').addEventListener('click', () => {
    for (const photo of photos().filter(({ isActive }) => isActive)) cancel(photo);
  });
  part('clear').addEventListener('click', () => {
    for (const photo of photos().filter(({ isActive }) => !isActive)) remove(photo);
  });
  queue.addEventListener('pause', refresh);
  addEventListener('beforeunload', (event) => {
    if (photos().some(({ isUnsent }) => isUnsent)) event.preventDefault();
  });
}

function takeUpWhereLeft() {
  for (const photo of recall()) {
    show(photo);
    if (photo.isActive) watcher.add(photo);
  }
}

/** Start is in the page from the beginning and stays: photos are worked on while other views are seen. */
export function startPhotos(context) {
  ({ api, openViewer } = context);
  watcher = new Watcher(api);
  queue = new UploadQueue(api, (photo) => watcher.add(photo));
  startOptions(() => {
    for (const card of cards.values()) card.render();
  });
  startIntake();
  startGallery();
  new CompareSlider(document.querySelector('.hero .compare'));
  onLanguageChange(() => {
    for (const card of cards.values()) card.relabel();
    refresh();
  });
  takeUpWhereLeft();
  api.models().then(offerModels, () => offerModels([])); // Without the list, the default model it is.
}
