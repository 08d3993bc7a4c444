// The line above the photos: how far all of them are, and what can be done with all of them.

import { announce } from './announce.js';
import { number, plural, t } from './i18n.js';

const part = (name) => document.querySelector(`#gallery [data-part=${name}]`);
const PROBLEM_SHOWN_MS = 12_000;
let countdown = null;
let problem = '';

/** Beside the summary for a while, and said at once. */
export function tellProblem(sentence) {
  problem = sentence;
  announce(sentence);
  renderProblem();
  setTimeout(() => {
    if (problem === sentence) problem = '';
    renderProblem();
  }, PROBLEM_SHOWN_MS);
}

function renderProblem() {
  const place = document.getElementById('problem');
  place.textContent = problem;
  place.hidden = !problem;
}

/** @param pausedUntil milliseconds since the epoch until which the service wants no more photos */
export function renderSummary(photos, pausedUntil) {
  const done = photos.filter((photo) => photo.state === 'done').length;
  const active = photos.filter((photo) => photo.isActive).length;
  const troubled = photos.filter((photo) => photo.isInTrouble).length;
  part('summary').textContent = [
    done === photos.length && done ? plural('gallery.all', done) : progressOf(done, photos.length),
    ...(troubled ? [plural('gallery.trouble', troubled)] : []),
  ].join(' · ');
  part('download-all').hidden = done < 2;
  part('cancel-all').hidden = active < 2;
  part('clear').hidden = photos.every(({ isActive, state }) => isActive || state === 'ready');
  renderPause(pausedUntil);
}

const progressOf = (done, total) => t('gallery.progress', { done: number(done), total: number(total) });

function renderPause(pausedUntil) {
  clearTimeout(countdown);
  const seconds = Math.ceil((pausedUntil - Date.now()) / 1000);
  part('pause').textContent = seconds > 0 ? `· ${plural('gallery.limited', seconds)}` : '';
  if (seconds > 0) countdown = setTimeout(() => renderPause(pausedUntil), 1000);
}
