// Tells screen readers what happened, gathered so that many photos do not talk over each other.

import { explain, plural, t, number } from './i18n.js';

const GATHER_MS = 700;
const SPELLED_OUT = 2;

const region = document.getElementById('announcements');
let added = 0;
let done = [];
let failed = [];
let others = [];
let timer = null;

/** Any sentence, said after what is being said. */
export const announce = (sentence) => soon(() => others.push(sentence));
export const announceAdded = (count) => soon(() => (added += count));
export const announceDone = ({ name }) => soon(() => done.push({ name }));
export const announceFailed = ({ name, error }) => soon(() => failed.push({ name, error }));

function soon(note) {
  note();
  timer ??= setTimeout(speak, GATHER_MS);
}

function speak() {
  const sentences = [
    ...others,
    ...(added ? [plural('announce.added', added)] : []),
    ...gathered(done, 'announce.done', 'announce.doneMany', ({ name }) => ({ name })),
    ...gathered(failed, 'announce.failed', 'announce.failedMany', ({ name, error }) => ({ name, error: explain(error) })),
  ];
  region.textContent = sentences.join(' ');
  [added, done, failed, others, timer] = [0, [], [], [], null];
}

function gathered(photos, key, keyOfMany, values) {
  if (photos.length > SPELLED_OUT) return [t(keyOfMany, { count: number(photos.length) })];
  return photos.map((photo) => t(key, values(photo)));
}
