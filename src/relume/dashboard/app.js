// The shell around the views: language, theme, navigation, the key, the large view.

import { Api } from './api.js';
import { language, onLanguageChange, setLanguage, t, translatePage } from './i18n.js';
import { askForKey } from './keyprompt.js';
import { startOffline } from './offline.js';
import { Router } from './router.js';
import { startTheme } from './theme.js';
import { mayReload, startPhotos } from './views/start.js';

const byId = (id) => document.getElementById(id);
const api = new Api(askForKey);
let shown = 'start';

/**
 * Shows a photo large, beside its original where there is one. Loaded when somebody first wants it.
 * @param {import('./viewer-item.js').ViewerItem} photo
 * @param siblings the photos that Previous and Next go to, this one among them
 */
async function openViewer(photo, siblings = [photo]) {
  const { openViewer: open } = await import('./viewer.js');
  return open(photo, siblings, { api });
}

function startLanguages() {
  const buttons = document.querySelectorAll('[data-language]');
  const mark = () => {
    for (const button of buttons) {
      button.setAttribute('aria-pressed', String(button.dataset.language === language()));
    }
    tellWhere();
  };
  for (const button of buttons) button.addEventListener('click', () => setLanguage(button.dataset.language));
  onLanguageChange(mark);
  mark();
}

function tellWhere() {
  document.title = shown === 'start' ? t('page.title') : t('page.titleOf', { view: t(`nav.${shown}`) });
  for (const link of document.querySelectorAll('[data-route]')) {
    if (link.dataset.route === shown) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
}

/** Whoever does not see the page must learn that it is another one: the focus goes to its heading. */
function viewShown(name, isFirst) {
  shown = name;
  tellWhere();
  if (isFirst) return;
  scrollTo(0, 0);
  const heading = [...byId('main').querySelectorAll('h1, h2')].find((one) => one.checkVisibility());
  heading?.setAttribute('tabindex', '-1');
  heading?.focus({ preventScroll: true, focusVisible: false });
}

function startSkipLink() {
  document.querySelector('.skip').addEventListener('click', (event) => {
    event.preventDefault(); // The address names the view.
    byId('main').focus();
  });
}

translatePage();
startLanguages();
startTheme(byId('theme'));
startSkipLink();
const context = { api, openViewer };
startPhotos(context);
startOffline(api, () => mayReload() && !navigator.userActivation?.hasBeenActive);
new Router({ start: byId('start'), outlet: byId('outlet'), context, onShown: viewShown });
