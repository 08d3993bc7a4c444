// Follows jobs until they end.
//
// A browser keeps six connections to a server of HTTP/1.1, and a stream holds one for as long as it
// lasts. So the two oldest jobs are streamed, the rest is polled, a few jobs a round: hundreds of
// photos neither starve the uploads nor flood the service.

import { resultPath } from './api.js';

const STREAMS_AT_ONCE = 2;
const POLL_EVERY_MS = 1500;
const POLLS_A_ROUND = 4;
const MISSES_BEFORE_TELLING = 3;

export class Watcher {
  #jobs = new Map(); // photo → {stream: AbortController | null, canStream, polledAt, misses}
  #timer = null;

  constructor(api) {
    this.api = api;
  }

  add(photo) {
    this.#jobs.set(photo, { stream: null, canStream: true, polledAt: 0, misses: 0 });
    this.#arrange();
  }

  forget(photo) {
    this.#jobs.get(photo)?.stream?.abort();
    this.#jobs.delete(photo);
    this.#arrange();
  }

  #arrange() {
    const watched = [...this.#jobs];
    let free = STREAMS_AT_ONCE - watched.filter(([, job]) => job.stream).length;
    for (const [photo, job] of watched) {
      if (free > 0 && job.canStream && !job.stream) {
        free -= 1;
        this.#stream(photo, job);
      }
    }
    if (this.#jobs.size && !this.#timer) this.#timer = setTimeout(() => this.#round(), POLL_EVERY_MS);
  }

  async #stream(photo, job) {
    job.stream = new AbortController();
    try {
      for await (const { data } of this.api.events(photo.jobId, job.stream.signal)) {
        if (!this.#jobs.has(photo)) return;
        this.#heard(photo, data);
      }
    } catch {
      // Whatever it was, polling finds out and tells.
    }
    job.stream = null;
    job.canStream = false;
    this.#arrange();
  }

  async #round() {
    await Promise.all(this.#due().map(([photo, job]) => this.#poll(photo, job)));
    this.#timer = null;
    this.#arrange();
  }

  /** Running jobs first, then those that were not asked about for longest. */
  #due() {
    const waits = ([photo, job]) => (photo.state === 'running' ? 0 : 1e15) + job.polledAt;
    return [...this.#jobs]
      .filter(([, job]) => !job.stream)
      .sort((one, other) => waits(one) - waits(other))
      .slice(0, POLLS_A_ROUND);
  }

  async #poll(photo, job) {
    job.polledAt = Date.now();
    try {
      const said = await this.#asked(photo.jobId);
      job.misses = 0;
      if (this.#jobs.has(photo)) this.#heard(photo, said);
    } catch (error) {
      if (!this.#jobs.has(photo)) return;
      if (error.status === 404 || error.wantsKey) this.#lost(photo, error);
      else this.#missed(photo, job);
    }
  }

  /** The first event of a stream tells more than a poll: the place in the queue, the step, what was done. */
  async #asked(jobId) {
    const abort = new AbortController();
    const signal = AbortSignal.any([abort.signal, AbortSignal.timeout(POLL_EVERY_MS)]);
    try {
      for await (const { data } of this.api.events(jobId, signal)) return data;
    } catch (error) {
      if (error.status) throw error;
      // Nothing came: the plain answer is left.
    } finally {
      abort.abort();
    }
    return this.api.job(jobId);
  }

  #heard(photo, said) {
    photo.follow(said, resultPath);
    if (!photo.isActive) this.forget(photo);
  }

  /** It can pass; the next round asks again. */
  #missed(photo, job) {
    job.misses += 1;
    if (job.misses === MISSES_BEFORE_TELLING && photo.state !== 'cancelling') {
      photo.update({ state: 'reconnecting' });
    }
  }

  #lost(photo, { code, detail }) {
    photo.update({ state: 'failed', error: { code, detail } });
    this.forget(photo);
  }
}
