// What a view brings along when it is first wanted: its style sheet and its markup.

import { translate } from './i18n.js';

const styles = new Map(); // path → promise
const markups = new Map();
const urlOf = (path) => new URL(path, import.meta.url).href;

/** Adds a style sheet of this folder once. Resolves when it is in force: nothing is drawn unstyled. */
export function loadStyle(path) {
  return once(styles, path, () =>
    new Promise((resolve, reject) => {
      const link = Object.assign(document.createElement('link'), { rel: 'stylesheet', href: urlOf(path) });
      link.onload = resolve;
      link.onerror = () => {
        link.remove();
        reject(new Error(`${path} did not load`));
      };
      document.head.append(link);
    }),
  );
}

/** A new copy of the markup in a file of this folder, in the reader's language, as a DocumentFragment. */
export async function loadTemplate(path) {
  const template = await once(markups, path, async () => {
    const response = await fetch(urlOf(path));
    if (!response.ok) throw new Error(`${path} did not load`);
    return Object.assign(document.createElement('template'), { innerHTML: await response.text() });
  });
  const copy = document.importNode(template.content, true);
  translate(copy);
  return copy;
}

/** What failed to load may be asked for again. */
function once(kept, path, load) {
  if (!kept.has(path)) {
    const loading = load();
    loading.catch(() => kept.delete(path));
    kept.set(path, loading);
  }
  return kept.get(path);
}
