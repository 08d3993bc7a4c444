// Sends photos to the service: a few at a time, in order, with patience.

const UPLOADS_AT_ONCE = 3;
const RECONNECT_SECONDS = [1, 2, 4, 8, 15]; // about half a minute with a network, then the person decides
const DEFAULT_PAUSE_SECONDS = 6; // a token of the default rate limit, 10 a minute

export class UploadQueue extends EventTarget {
  #waiting = [];
  #uploading = new Map(); // photo → AbortController
  #slots = UPLOADS_AT_ONCE;
  #pauseTimer = null;
  pausedUntil = 0; // milliseconds since the epoch; in the past when nothing is paused

  /** @param onAccepted called with each photo that has become a job */
  constructor(api, onAccepted) {
    super();
    this.api = api;
    this.onAccepted = onAccepted;
  }

  add(photo) {
    this.#waiting.push(photo);
    this.#pump();
  }

  /** Takes a photo out that is no job yet. */
  cancel(photo) {
    this.#waiting = this.#waiting.filter((other) => other !== photo);
    this.#uploading.get(photo)?.abort();
    photo.update({ state: 'cancelled', progress: 0 });
  }

  #pump() {
    if (this.pausedUntil > Date.now()) return;
    while (this.#uploading.size < this.#slots && this.#waiting.length) {
      this.#send(this.#waiting.shift());
    }
    if (!this.#waiting.length) this.#slots = UPLOADS_AT_ONCE;
  }

  async #send(photo) {
    const abort = new AbortController();
    this.#uploading.set(photo, abort);
    try {
      const { job_id: jobId } = await this.#upload(photo, abort.signal);
      photo.update({ state: 'queued', progress: 0, jobId });
      this.onAccepted(photo);
    } catch (error) {
      this.#refused(photo, error, abort.signal);
    } finally {
      this.#uploading.delete(photo);
      this.#pump();
    }
  }

  #refused(photo, error, signal) {
    if (signal.aborted) return;
    if (error.status === 429) this.#pause(photo, error.retryAfterSeconds || DEFAULT_PAUSE_SECONDS);
    else photo.update({ state: 'failed', error: { code: error.code, detail: error.detail } });
  }

  /** One pause for all: the limit counts the client, not the photo. One at a time from there on. */
  #pause(photo, seconds) {
    photo.update({ state: 'limited', progress: 0 });
    this.#waiting.unshift(photo);
    this.#slots = 1;
    this.pausedUntil = Math.max(this.pausedUntil, Date.now() + seconds * 1000);
    clearTimeout(this.#pauseTimer);
    this.#pauseTimer = setTimeout(() => {
      this.pausedUntil = 0;
      this.dispatchEvent(new Event('pause'));
      this.#pump();
    }, this.pausedUntil - Date.now());
    this.dispatchEvent(new Event('pause'));
  }

  /** Again after a lost connection, with the same key, so that a photo never becomes two jobs. */
  async #upload(photo, signal) {
    for (let attempt = 0; ; attempt += 1) {
      photo.update({ state: 'uploading', progress: 0 });
      try {
        return await this.api.restore(formOf(photo), {
          idempotencyKey: photo.idempotencyKey,
          signal,
          onProgress: (progress) => photo.state === 'uploading' && photo.update({ progress }),
        });
      } catch (error) {
        if (error.code !== 'connection' || attempt >= RECONNECT_SECONDS.length) throw error;
        photo.update({ state: 'reconnecting', progress: 0 });
        if (navigator.onLine) await sleep(RECONNECT_SECONDS[attempt]);
        else attempt = await online(signal);
        signal.throwIfAborted();
      }
    }
  }
}

/** Without a network, no attempt is counted. Resolves to the number that comes before the first. */
function online(signal) {
  return new Promise((resolve) => {
    addEventListener('online', () => resolve(-1), { once: true });
    signal.addEventListener('abort', () => resolve(-1), { once: true });
  });
}

const sleep = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

function formOf({ file, name, options }) {
  const form = new FormData();
  form.append('strength', options.strength);
  form.append('upscale', options.upscale);
  if (options.modelId) form.append('model_id', options.modelId);
  if (options.localOnly) form.append('local_only', 'true');
  form.append('image', file, name);
  return form;
}
