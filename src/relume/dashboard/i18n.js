// Words in the reader's language. Each dictionary is one flat file, loaded when it is wanted; a test
// proves that all have the same keys.

const LANGUAGES = ['en', 'vi'];
const REMEMBERED_AS = 'relume.language';
const listeners = new Set();

let current = remembered() ?? preferred();
let words = await dictionary(current);

async function dictionary(language) {
  return (await import(`./locales/${language}.js`)).default;
}

function remembered() {
  try {
    const language = localStorage.getItem(REMEMBERED_AS);
    return LANGUAGES.includes(language) ? language : null;
  } catch {
    return null; // Storage is blocked: the browser's language stands.
  }
}

function preferred() {
  const wanted = navigator.languages?.map((tag) => tag.slice(0, 2).toLowerCase()) ?? [];
  return wanted.find((language) => LANGUAGES.includes(language)) ?? 'en';
}

export const language = () => current;

export async function setLanguage(language) {
  words = await dictionary(language);
  current = language;
  try {
    localStorage.setItem(REMEMBERED_AS, language);
  } catch {
    // Not remembered, but in force.
  }
  translatePage();
  for (const listener of listeners) listener(language);
}

/** Returns a function that ends the listening. */
export function onLanguageChange(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export const has = (key) => Object.hasOwn(words, key);

/** The sentence for `key`, with each `{name}` replaced from `values`. */
export function t(key, values = {}) {
  if (!has(key)) console.error(`No words for ${key}`); // A test that sees this fails.
  return (words[key] ?? key).replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

/** Like `t`, in the plural form that `count` takes: `key.one`, `key.other`. */
export function plural(key, count, values = {}) {
  const form = new Intl.PluralRules(current).select(count) === 'one' ? 'one' : 'other';
  return t(`${key}.${form}`, { count: number(count), ...values });
}

export const number = (value, options) => new Intl.NumberFormat(current, options).format(value);

export const percent = (fraction) =>
  new Intl.NumberFormat(current, { style: 'percent', maximumFractionDigits: 0 }).format(fraction);

/**
 * An error as a sentence, of a request, of a job or of this page. The server's own sentence is English, so a
 * reader of another language gets the dictionary's sentence for the error's code where there is one.
 */
export function explain({ code, detail, megabytes = 0 }) {
  const key = `error.${code}`;
  if (current === 'en' && detail) return detail;
  if (has(key)) return t(key, { detail: detail ?? '', size: `${number(Math.round(megabytes))} MB` }).trim();
  return detail || t('error.unknown');
}

/** Fill `data-i18n` (text) and `data-i18n-<attribute>` below `root`. */
export function translate(root) {
  for (const node of root.querySelectorAll('[data-i18n]')) node.textContent = t(node.dataset.i18n);
  for (const attribute of ['aria-label', 'title', 'placeholder', 'alt']) {
    for (const node of root.querySelectorAll(`[data-i18n-${attribute}]`)) {
      node.setAttribute(attribute, t(node.getAttribute(`data-i18n-${attribute}`)));
    }
  }
}

export function translatePage() {
  document.documentElement.lang = current;
  translate(document);
}
