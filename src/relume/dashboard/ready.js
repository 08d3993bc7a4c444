// Photos that would cost money wait here until a person has seen the price and starts them.

import { inWords } from './estimates.js';
import { plural, t } from './i18n.js';
import { nextFrame } from './frame.js';

const bar = document.getElementById('ready');
const part = (name) => bar.querySelector(`[data-part=${name}]`);

export class ReadyBar {
  #asked = 0;

  /**
   * @param estimates what work costs
   * @param photosReady () => the photos that wait; all have the same options
   * @param onStart called with them when a person starts them
   */
  constructor(estimates, photosReady, onStart) {
    Object.assign(this, { estimates, photosReady });
    part('start').addEventListener('click', () => onStart(photosReady()));
  }

  refresh() {
    nextFrame(this.#draw);
  }

  #draw = async () => {
    const photos = this.photosReady();
    bar.hidden = !photos.length;
    if (!photos.length) return;
    const asked = (this.#asked += 1);
    const estimate = await this.estimates.of(photos[0].options, { count: photos.length, size: usualSize(photos) });
    if (asked !== this.#asked || !this.photosReady().length) return; // Something changed in the meantime.
    const { isPaid, totalUsd: usd, totalSeconds: seconds, providers } = estimate;
    const values = { provider: nameOf(providers[0]) };
    part('words').textContent = plural(isPaid ? 'ready.paid' : 'ready.free', photos.length, values);
    part('start-words').textContent = t('ready.start', { estimate: inWords({ isPaid, usd, seconds }) });
  };
}

/** The mean of those that are known. */
function usualSize(photos) {
  const known = photos.filter(({ width }) => width);
  if (!known.length) return null;
  const mean = (side) => Math.round(known.reduce((sum, photo) => sum + photo[side], 0) / known.length);
  return { width: mean('width'), height: mean('height') };
}

const NAMES = { replicate: 'Replicate', huggingface: 'Hugging Face', cog: 'Cog' };
export const nameOf = (provider) => NAMES[provider] ?? provider ?? '';
