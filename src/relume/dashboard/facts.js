// What was done to a photo, by whom, and how close it stays to the original: `GET /restore/{job_id}`, which
// tells it for a photo's job of every contract.

import { has, language, number, percent, plural, t } from './i18n.js';

const CLOSENESS = [[0.97, 'same'], [0.9, 'close'], [0.75, 'near'], [0, 'far']]; // below 0.75 a score asks for a second look
const ON_THIS_MACHINE = new Set(['builtin', 'local']);

/**
 * @returns {Promise<{account: {outcome, fidelity, cost_usd, steps} | null, strength: number | null, expiresAt}>}
 * `expiresAt` is undefined where it is not known, and null for files that are kept for ever.
 */
export async function factsOf(api, item) {
  const [state, asked, limits] = await Promise.all([
    api.json(`restore/${item.jobId}`),
    api.json(`api/v1/jobs/${item.jobId}/metadata`).catch(() => ({})), // Without it, the account can be told.
    limitsOf(api),
  ]);
  return {
    account: state.metadata ?? null,
    strength: item.strength ?? asked.strength ?? null,
    expiresAt: item.expiresAt ?? expiryOf(item, asked.completed_at, limits.result_ttl_minutes),
  };
}

let limitsAsked = null;

function limitsOf(api) {
  limitsAsked ??= api.json('info').then(({ limits }) => limits);
  return limitsAsked.catch(() => {
    limitsAsked = null;
    return {};
  });
}

/** As the server reckons: the end of the job, and the time that results are kept. */
function expiryOf({ path }, completedAt, minutes) {
  if (!path.startsWith('/results/') || minutes === undefined || !completedAt) return undefined;
  return minutes === 0 ? null : new Date(Date.parse(completedAt) + minutes * 60_000).toISOString();
}

/** The account in words, as elements for the panel. */
export function account(facts) {
  const parts = [
    element('p', 'facts-outcome', t(`viewer.outcome.${facts.outcome}`)),
    ...(facts.fidelity === null || facts.outcome === 'unchanged' ? [] : [closeness(facts.fidelity)]),
  ];
  if (facts.steps.length) parts.push(list(facts.steps));
  parts.push(total(facts));
  return parts;
}

function closeness(fidelity) {
  const [, word] = CLOSENESS.find(([least]) => fidelity >= least);
  const meter = Object.assign(document.createElement('meter'), { min: 0, max: 1, low: 0.75, optimum: 1, value: fidelity });
  meter.setAttribute('aria-label', t('viewer.fidelity'));
  meter.textContent = percent(fidelity);
  const line = element('p', 'facts-closeness');
  line.append(element('span', '', t(`viewer.fidelity.${word}`)), element('strong', '', percent(fidelity)));
  const block = element('div', 'facts-fidelity');
  block.append(line, meter);
  return block;
}

function list(steps) {
  const ordered = element('ol', 'facts-steps');
  ordered.append(...steps.map(step));
  return ordered;
}

/** One task of the recipe: what, by whom, with what, how long, at what price. */
function step({ task, provider, model, version, changed, seconds, cost_usd: cost, steps, credits = [] }) {
  const item = element('li', 'facts-step');
  item.append(element('h4', '', nameOf(task)));
  const whom = [provider === 'builtin' ? '' : providerName(provider), model, version && t('viewer.version', { version })];
  item.append(element('p', 'facts-by', whom.filter(Boolean).join(' · ')));
  item.append(element('p', 'facts-cost', [duration(seconds), price(cost), changed ? '' : t('viewer.step.unchanged')]
    .filter(Boolean).join(' · ')));
  item.append(...credits.map(credit)); // Jobs of earlier versions have none.
  const done = steps.filter((part) => part.changed);
  if (done.length) item.append(details(done));
  return item;
}

/** Whose weights on the server made pixels, and under which licence: its words are left in their language. */
function credit({ model, by, licence, licence_note: note }) {
  const known = licence === 'unknown' ? t('viewer.licence.unknown') : t('viewer.licence', { licence });
  const words = [by ? t('viewer.weights.by', { model, by }) : t('viewer.weights', { model }), known];
  return element('p', 'facts-credit', [words.join(' · '), note].filter(Boolean).join('. '));
}

/** The parts that changed something. Their sentences are the server's and in English; the names are not. */
function details(parts) {
  const inner = element('ul', 'facts-parts');
  for (const { name, detail } of parts) {
    const entry = element('li', '', nameOf(name));
    if (language() === 'en' && detail) entry.append(element('small', '', detail));
    inner.append(entry);
  }
  return inner;
}

function total({ steps, cost_usd: cost }) {
  const seconds = steps.reduce((sum, one) => sum + one.seconds, 0);
  const words = [t('viewer.total', { duration: duration(seconds), price: price(cost ?? 0) })];
  const stayed = steps.length > 0 && steps.every(({ provider }) => ON_THIS_MACHINE.has(provider));
  if (stayed) words.push(t('viewer.stayed'));
  return element('p', 'facts-total', words.join(' '));
}

const nameOf = (name) => (has(`viewer.step.${name}`) ? t(`viewer.step.${name}`) : name.replaceAll('_', ' '));

const providerName = (name) => (has(`viewer.provider.${name}`) ? t(`viewer.provider.${name}`) : name);

function duration(seconds) {
  const rounded = seconds < 10 ? Math.round(seconds * 10) / 10 : Math.round(seconds);
  return plural('viewer.seconds', rounded);
}

/** Dollars as they are: a hosted photo costs a fraction of a cent. */
function price(usd) {
  if (!usd) return t('viewer.free');
  const digits = usd < 0.01 ? 4 : 2;
  return new Intl.NumberFormat(language(), {
    style: 'currency', currency: 'USD', minimumFractionDigits: digits, maximumFractionDigits: digits,
  }).format(usd);
}

/** How long the files are still kept. Rounded down: a promise must not be longer than the truth. */
export function keptFor(expiresAt, now = Date.now()) {
  if (expiresAt === undefined) return t('viewer.left.unknown');
  if (expiresAt === null) return t('viewer.left.always');
  const minutes = Math.floor((Date.parse(expiresAt) - now) / 60_000);
  if (minutes < 0) return t('viewer.expired');
  if (minutes < 1) return t('viewer.left.moment');
  if (minutes < 120) return plural('viewer.left.minutes', minutes);
  if (minutes < 48 * 60) return plural('viewer.left.hours', Math.floor(minutes / 60));
  return plural('viewer.left.days', Math.floor(minutes / (24 * 60)));
}

export const size = (width, height) => `${number(width)} × ${number(height)}`;

function element(tag, className, text = '') {
  return Object.assign(document.createElement(tag), { className, textContent: text });
}
