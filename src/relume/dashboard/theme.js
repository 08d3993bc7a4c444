// Light, dark, or as the device has it. One button goes round the three.

import { onLanguageChange, t } from './i18n.js';

const REMEMBERED_AS = 'relume.theme'; // early.js reads it
const THEMES = ['auto', 'light', 'dark'];
const root = document.documentElement;

export function startTheme(button) {
  button.addEventListener('click', () => {
    choose(THEMES[(THEMES.indexOf(root.dataset.theme) + 1) % THEMES.length]);
    tell(button);
  });
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', paintBrowser);
  onLanguageChange(() => tell(button));
  tell(button);
}

function choose(theme) {
  root.dataset.theme = theme;
  try {
    localStorage.setItem(REMEMBERED_AS, theme);
  } catch {
    // Not remembered, but in force.
  }
}

function tell(button) {
  const { theme } = root.dataset;
  const name = t(`theme.${theme}`);
  button.setAttribute('aria-label', t('theme.label', { name }));
  button.title = t('theme.label', { name });
  button.querySelector('use').setAttribute('href', `#i-theme-${theme}`);
  paintBrowser();
}

/** The browser's own bars take the colour of the page. */
function paintBrowser() {
  document.querySelector('meta[name=theme-color]').content = getComputedStyle(root).backgroundColor;
}
