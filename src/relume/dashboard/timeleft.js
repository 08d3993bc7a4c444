// How long a file is still kept, in words that stay true while the page is open.

import { plural, t } from './i18n.js';

const MINUTE_SECONDS = 60;
const HOUR_SECONDS = 3600;
const DAY_SECONDS = 86_400;
const SOON_SECONDS = 10 * MINUTE_SECONDS;

/** Seconds until a moment (ISO 8601); 0 when it has passed. */
export const secondsLeft = (moment, now = Date.now()) => Math.max((Date.parse(moment) - now) / 1000, 0);

/** "12 minutes left". Rounded down, because a promise must not be longer than the truth. */
export function timeLeft(moment, now = Date.now()) {
  const seconds = secondsLeft(moment, now);
  if (seconds === 0) return t('history.expired');
  if (seconds < MINUTE_SECONDS) return t('history.left.moment');
  if (seconds < 2 * HOUR_SECONDS) return plural('history.left.minutes', Math.floor(seconds / MINUTE_SECONDS));
  if (seconds < 2 * DAY_SECONDS) return plural('history.left.hours', Math.floor(seconds / HOUR_SECONDS));
  return plural('history.left.days', Math.floor(seconds / DAY_SECONDS));
}

export const isSoon = (moment) => secondsLeft(moment) < SOON_SECONDS;
