// The strength, after the fact.
//
// A result r that was made at strength m is o + m (R - o), of the original o and the restoration R. So at any
// strength s up to m, the photo is o + (s / m) (r - o): the result over the original, s / m opaque. The browser
// shows that at once. Beyond m it takes R, which the server has: it is asked once for the result at full strength, from
// which every strength can be shown here. A preview differs from what is then saved by the noise of JPEG alone.

import { ApiError } from './api.js';
import { explain, percent, t } from './i18n.js';

const FULL = 1;
const DEBOUNCE_MS = 500;
const POLL_EVERY_MS = 1500;

/** How opaque the result lies over the original; null where that takes a stronger result. */
export const opacityAt = (strength, made) => (strength <= made + 1e-6 ? Math.min(1, strength / made) : null);

/**
 * Asks for the photo at another strength and waits for it: `{jobId, resultUrl, strength}`.
 * `begun(item, jobId)` hears of the job as soon as there is one.
 */
export async function render(api, item, strength, { signal, begun }) {
  const path = `api/v1/jobs/${item.jobId}/render`;
  const { job_id: jobId } = await api.json(path, { method: 'POST', body: { strength }, signal });
  begun(item, jobId);
  const { status, result_url: resultUrl, error } = await ended(api, jobId, signal);
  if (status !== 'succeeded') throw new ApiError({ code: 'job_failed', detail: error ?? '' });
  return { jobId, resultUrl, strength };
}

/** By events, and by asking where the stream breaks. */
async function ended(api, jobId, signal) {
  try {
    for await (const { data } of api.events(jobId, signal)) if (hasEnded(data)) return data;
  } catch (error) {
    if (error.name === 'AbortError') throw error;
  }
  for (;;) {
    const said = await api.job(jobId);
    if (hasEnded(said)) return said;
    await new Promise((resolve) => setTimeout(resolve, POLL_EVERY_MS));
    signal.throwIfAborted();
  }
}

const hasEnded = ({ status }) => status === 'succeeded' || status === 'failed';

/** The part of the panel where the strength is set. */
export class Strength {
  #item = null;
  #strongest = null; // {path, strength}: what the browser mixes from
  #made = new Map(); // strength → {jobId, resultUrl, strength, path} that the server has made
  #asks = new AbortController(); // ended when the photo is left
  #timer = null;

  /** @param does {pathOf(resultUrl), begun(item, jobId), saved(made)} */
  constructor(part, api, picture, does) {
    Object.assign(this, {
      api, picture, does, range: part('strength'), output: part('strength-now'), section: part('strength-section'),
      note: part('strength-note'), save: part('strength-save'), reset: part('strength-reset'),
    });
    this.range.addEventListener('input', () => this.#set());
    this.save.addEventListener('click', () => this.#save());
    this.reset.addEventListener('click', () => this.#back());
  }

  get value() {
    return Number(this.range.value);
  }

  /** Another photo, or none: nothing is offered until it is known what there is to mix. */
  leave() {
    clearTimeout(this.#timer);
    this.#timer = null;
    this.#asks.abort();
    this.#made.clear();
    this.#item = null;
    this.range.disabled = this.section.inert = true;
    this.note.textContent = this.output.textContent = '';
  }

  /** `item.strength` is known, and there are an original and a result that differ. */
  offer(item) {
    this.#asks = new AbortController();
    this.#item = item;
    this.#strongest = { path: item.path, strength: item.strength };
    this.range.value = item.strength;
    this.range.disabled = this.section.inert = false;
    this.relabel();
  }

  relabel() {
    if (!this.#item) return;
    this.#tell();
    this.#say(this.#isAsMade ? this.#asMade : this.#mixed);
  }

  get #isAsMade() {
    return Math.abs(this.value - this.#item.strength) < 0.001;
  }

  get #asMade() {
    return t('viewer.strength.made', { strength: percent(this.#item.strength) });
  }

  get #mixed() {
    return t('viewer.strength.mixed', { strength: percent(this.value) });
  }

  #set() {
    clearTimeout(this.#timer);
    this.#tell();
    const { path, strength } = this.#strongest;
    const opacity = opacityAt(this.value, strength);
    this.picture.mix(path, opacity ?? 1);
    if (opacity === null) {
      this.#say(t('viewer.strength.asking'), { isBusy: true });
      this.#timer = setTimeout(() => this.#fetchFull(), DEBOUNCE_MS);
    } else {
      this.#say(this.#isAsMade ? this.#asMade : this.#mixed);
    }
  }

  async #fetchFull() {
    const made = await this.#make(FULL);
    if (!made) return;
    this.#strongest = made;
    this.#set();
  }

  async #save() {
    const strength = this.value;
    this.range.disabled = true;
    this.#say(t('viewer.strength.saving'), { isBusy: true });
    const made = await this.#make(strength);
    if (!made) return;
    this.#item = { ...this.#item, strength };
    this.does.saved(made);
    if (strength > this.#strongest.strength) this.#strongest = made;
    await this.picture.mix(made.path, 1);
    this.range.disabled = false;
    this.#tell();
    this.#say(t('viewer.strength.saved', { strength: percent(strength) }));
    this.range.focus({ focusVisible: false }); // The button that had it is switched off.
  }

  /** The photo at one strength, made by the server; null when it cannot, or when nobody waits for it any more. */
  async #make(strength) {
    const { signal } = this.#asks;
    try {
      const made = this.#made.get(strength) ?? (await this.#render(strength, signal));
      if (signal.aborted) return null;
      made.path = this.does.pathOf(made.resultUrl);
      this.#made.set(strength, made);
      return made;
    } catch (error) {
      if (!signal.aborted) this.#failed(error);
      return null;
    }
  }

  #render(strength, signal) {
    return render(this.api, this.#item, strength, { signal, begun: this.does.begun });
  }

  #failed(error) {
    this.range.disabled = false;
    this.#tell();
    this.#say(error.status === 410 ? t('viewer.strength.gone') : explain(error), { isWrong: true });
  }

  #back() {
    this.range.value = this.#item.strength;
    this.range.focus();
    this.#set();
  }

  #tell() {
    this.output.textContent = percent(this.value);
    this.range.setAttribute('aria-valuetext', percent(this.value));
    this.range.style.setProperty('--filled', (this.value - 0.1) / 0.9);
    this.save.disabled = this.reset.disabled = this.#isAsMade;
  }

  #say(sentence, { isBusy = false, isWrong = false } = {}) {
    this.note.textContent = sentence;
    this.note.classList.toggle('is-busy', isBusy);
    this.note.classList.toggle('error', isWrong);
    this.section.setAttribute('aria-busy', String(isBusy));
    if (this.range.disabled) this.save.disabled = this.reset.disabled = true;
  }
}
