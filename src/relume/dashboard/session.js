// The photos that are jobs, remembered in this tab, so that a reload loses nothing but previews.

import { Photo } from './photo.js';

const STORED_AS = 'relume.photos';
const KEPT = ['name', 'options', 'state', 'jobId', 'jobs', 'resultPath', 'steps', 'width', 'height'];

const SOON_MS = 250;
let planned = null;

/** A moment later, and when the page goes away; a hidden page draws no frames, but it remembers. */
export function rememberSoon(photosOfPage) {
  const now = () => {
    clearTimeout(planned);
    planned = null;
    removeEventListener('pagehide', now);
    remember(photosOfPage());
  };
  if (planned) return;
  planned = setTimeout(now, SOON_MS);
  addEventListener('pagehide', now);
}

function remember(photos) {
  const kept = photos
    .filter((photo) => photo.jobId && (photo.isActive || photo.state === 'done'))
    .map((photo) => Object.fromEntries(KEPT.map((field) => [field, photo[field]])));
  try {
    sessionStorage.setItem(STORED_AS, JSON.stringify(kept));
  } catch {
    // The storage is full or blocked: the page works on, a reload would forget.
  }
}

export function recall() {
  try {
    const kept = JSON.parse(sessionStorage.getItem(STORED_AS) ?? '[]');
    return kept.map((photo) => new Photo({ ...photo, state: photo.state === 'done' ? 'done' : 'queued' }));
  } catch {
    return [];
  }
}
