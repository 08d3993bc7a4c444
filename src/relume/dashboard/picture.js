// One picture from words on its way: asked for, followed, and remembered in this tab.

import { Photo } from './photo.js';

const STORED_AS = 'relume.pictures';
const KEPT = ['name', 'options', 'state', 'jobId', 'resultPath', 'width', 'height', 'made'];
const RECONNECT_SECONDS = [1, 2, 4, 8];
const DEFAULT_PAUSE_SECONDS = 6; // a token of the default rate limit, 10 a minute
const NAME_WORDS = 6;

/** `options`: {prompt, model, width, height, seed?, negative_prompt?}. `made`: what the metadata tell. */
export class Picture extends Photo {
  made = null;
  originalUrl = null; // for the large view: there is no photo before

  constructor(known) {
    super(known);
    Object.assign(this, known); // Fields of this class are set after those of Photo.
  }

  get beforePath() {
    return null;
  }

  /** `A lighthouse at dusk, oil` becomes `a-lighthouse-at-dusk-oil.png`; letters of all scripts stay. */
  get downloadName() {
    const words = this.name.toLowerCase().match(/[\p{L}\p{M}\p{N}]+/gu) ?? ['picture'];
    return `${words.slice(0, NAME_WORDS).join('-')}.png`;
  }
}

/** Asks for a picture; waits out a pause and a lost connection with the same key, so it is drawn once. */
export async function ask(api, picture) {
  const { idempotencyKey } = picture;
  picture.update({ state: 'uploading' });
  for (let attempt = 0; picture.state !== 'cancelled'; ) {
    try {
      const { id } = await api.json('api/v1/generate', {
        method: 'POST',
        headers: { 'Idempotency-Key': idempotencyKey },
        body: bodyOf(picture.options),
      });
      return id;
    } catch (error) {
      const pause = pauseAfter(error, attempt);
      if (!pause) throw error;
      picture.update({ state: error.status === 429 ? 'limited' : 'reconnecting' });
      if (error.status !== 429) attempt += 1;
      await new Promise((resolve) => setTimeout(resolve, pause * 1000));
    }
  }
  return null;
}

/** Seconds to wait before the next try; 0 when trying again would not help. */
function pauseAfter({ status, code, retryAfterSeconds }, attempt) {
  if (code === 'rate_limited') return retryAfterSeconds || DEFAULT_PAUSE_SECONDS;
  if (status === 0) return RECONNECT_SECONDS[attempt] ?? 0;
  return 0;
}

const bodyOf = ({ prompt, model, ...parameters }) => ({ prompt, model_name: model, parameters });

/** How it was made: {source, model, seed, cost, seconds}, from `GET /api/v1/jobs/{id}/metadata`. */
export async function howMade(api, { jobId }) {
  const told = await api.json(`api/v1/jobs/${jobId}/metadata`);
  const attempt = told.attempts?.at(-1);
  return {
    width: told.width,
    height: told.height,
    made: { source: told.source, model: told.model, seed: told.seed ?? null, cost: told.cost_usd ?? 0, seconds: attempt?.seconds ?? null },
  };
}

export function rememberPictures(pictures) {
  const kept = pictures
    .filter((picture) => picture.jobId && (picture.isActive || picture.state === 'done'))
    .map((picture) => Object.fromEntries(KEPT.map((field) => [field, picture[field]])));
  try {
    sessionStorage.setItem(STORED_AS, JSON.stringify(kept));
  } catch {
    // The storage is full or blocked: the page works on, a reload would forget.
  }
}

export function recallPictures() {
  try {
    const kept = JSON.parse(sessionStorage.getItem(STORED_AS) ?? '[]');
    return kept.map((one) => new Picture({ ...one, state: one.state === 'done' ? 'done' : 'queued' }));
  } catch {
    return [];
  }
}
