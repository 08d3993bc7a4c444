// Figures as operators read them: sizes, spans of time, hours of the day.

import { language, number, plural } from './i18n.js';

const UNITS = ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte'];
const MINUTE_SECONDS = 60;
const HOUR_SECONDS = 3600;

/** `81 GB`: two digits at least, and no more than it takes to see a change that matters. */
export function bytes(count) {
  const power = Math.min(Math.floor(Math.log10(Math.max(count, 1)) / 3), UNITS.length - 1);
  const value = count / 1000 ** power;
  return new Intl.NumberFormat(language(), {
    style: 'unit',
    unit: UNITS[power],
    unitDisplay: 'short',
    maximumFractionDigits: value < 10 && power ? 1 : 0,
  }).format(value);
}

/** `40 seconds`, `3 minutes`: in one unit. */
export function span(seconds) {
  if (seconds < 2 * MINUTE_SECONDS) return plural('operations.seconds', Math.round(seconds));
  if (seconds < 2 * HOUR_SECONDS) return plural('operations.minutes', Math.floor(seconds / MINUTE_SECONDS));
  return plural('operations.hoursLong', Math.floor(seconds / HOUR_SECONDS));
}

/** A count in short: `1.2K` where there is little room. */
export const short = (value) => new Intl.NumberFormat(language(), { notation: 'compact' }).format(value);

export const tenths = (value) => number(Math.round(value * 10) / 10);

/** The local hour of a moment (ISO 8601), as the reader writes it: `14:00`. */
export const hourOf = (moment) =>
  new Date(moment).toLocaleTimeString(language(), { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });

export function momentOf(moment) {
  const date = new Date(moment);
  const isToday = date.toDateString() === new Date().toDateString();
  const day = isToday ? {} : { day: 'numeric', month: 'short' };
  return date.toLocaleString(language(), { ...day, hour: 'numeric', minute: '2-digit' });
}
