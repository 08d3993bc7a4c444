// The strength, after the fact.
//
// A result r that was made at strength m is o + m (R - o), of the original o and the restoration R. So at any
// strength s up to m, the photo is o + (s / m) (r - o): the result over the original, s / m opaque. The browser
// shows that at once. Beyond m only the server can mix, because only the server has R.

import { announce } from './announce.js';
import { ApiError } from './api.js';
import { explain, percent, t } from './i18n.js';

const DEBOUNCE_MS = 700;
const POLL_EVERY_MS = 1500;

/** How opaque the result lies over the original; null where the browser cannot know. */
export const opacityAt = (strength, made) => (made && strength <= made + 1e-6 ? strength / made : null);

/** Asks for the photo at another strength and waits for it. Resolves to `{jobId, resultUrl, strength}`. */
export async function render(api, item, strength, signal) {
  const path = `api/v1/jobs/${item.sourceJobId}/render`;
  const { job_id: jobId } = await api.json(path, { method: 'POST', body: { strength }, signal });
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
  #made = new Map(); // strength → {jobId, resultUrl, strength} that the server has mixed
  #asked = null; // AbortController of what the server is asked for
  #timer = null;

  /** @param does {pathOf(resultUrl), saved(made)}: the person wants that result from now on */
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

  /** Another photo: nothing is offered until it is known what there is to mix. */
  leave() {
    this.#stop();
    this.#item = null;
    this.#made.clear();
    this.range.disabled = true;
    this.section.hidden = true;
  }

  /** `canMix`: whether there is an original, and whether the result differs from it. */
  offer(item, { canMix }) {
    this.#item = item;
    this.section.hidden = !canMix;
    this.range.disabled = !canMix;
    this.#strongest = { path: item.path, strength: item.strength };
    this.range.value = item.strength ?? 1;
    this.#tell();
    this.#say('');
  }

  relabel() {
    if (!this.#item) return;
    this.#tell();
    this.#say('');
  }

  get #isAsMade() {
    return this.#item.strength !== null && Math.abs(this.value - this.#item.strength) < 0.001;
  }

  #set() {
    this.#stop();
    this.#tell();
    const { path, strength } = this.#strongest;
    const opacity = opacityAt(this.value, strength);
    if (opacity === null) this.#later();
    else this.#mixed(path, opacity);
  }

  #mixed(path, opacity) {
    this.picture.mix(path, opacity);
    this.#say(this.#isAsMade ? '' : t('viewer.strength.mixed'));
  }

  #later() {
    this.picture.mix(this.#strongest.path, 1);
    this.#say(t('viewer.strength.asking'), { isBusy: true });
    this.#timer = setTimeout(() => this.#preview(), DEBOUNCE_MS);
  }

  /** The stronger result, which from then on can be mixed down here. */
  async #preview() {
    const made = await this.#ask();
    if (!made) return;
    this.#strongest = { path: made.path, strength: made.strength };
    await this.picture.mix(made.path, 1);
    const sentence = t('viewer.strength.ready', { strength: percent(made.strength) });
    this.#say(sentence);
    announce(sentence);
  }

  async #save() {
    this.#stop();
    this.#say(t('viewer.strength.saving'), { isBusy: true });
    const made = await this.#ask();
    if (!made) return;
    announce(t('viewer.strength.saved', { strength: percent(made.strength) }));
    this.does.saved(made);
    await this.picture.mix(made.path, 1);
    this.#strongest = strongerOf(this.#strongest, made);
    this.#item = { ...this.#item, strength: made.strength };
    this.#tell();
    this.#say(t('viewer.strength.saved', { strength: percent(made.strength) }));
  }

  /** What the server makes of the strength that is set now; null when it cannot or is no longer wanted. */
  async #ask() {
    const strength = this.value;
    const known = this.#made.get(strength);
    if (known) return known;
    const asked = (this.#asked = new AbortController());
    try {
      const answer = await render(this.api, this.#item, strength, asked.signal);
      if (asked.signal.aborted) return null;
      const made = { ...answer, path: this.does.pathOf(answer.resultUrl) };
      this.#made.set(strength, made);
      return made;
    } catch (error) {
      if (!asked.signal.aborted) this.#failed(error);
      return null;
    }
  }

  #failed(error) {
    const sentence = error.status === 410 ? t('viewer.strength.gone') : explain(error);
    this.#say(sentence, { isWrong: true });
    announce(sentence);
  }

  #back() {
    this.range.value = this.#item.strength ?? 1;
    this.range.focus();
    this.#set();
  }

  #stop() {
    clearTimeout(this.#timer);
    this.#asked?.abort();
    this.#asked = null;
  }

  #tell() {
    this.output.textContent = percent(this.value);
    this.range.setAttribute('aria-valuetext', percent(this.value));
    this.range.style.setProperty('--filled', (this.value - 0.1) / 0.9);
    this.save.disabled = this.reset.disabled = this.#isAsMade;
  }

  #say(sentence, { isBusy = false, isWrong = false } = {}) {
    const made = this.#item.strength;
    this.note.textContent = sentence || (made ? t('viewer.strength.made', { strength: percent(made) }) : '');
    this.note.classList.toggle('is-busy', isBusy);
    this.note.classList.toggle('error', isWrong);
    this.section.setAttribute('aria-busy', String(isBusy));
    if (isBusy) this.save.disabled = true;
  }
}

const strongerOf = (one, other) => ((other.strength ?? 0) > (one.strength ?? 0) ? other : one);
