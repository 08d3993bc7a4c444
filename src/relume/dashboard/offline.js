// The page without a network, and its new versions: registers `worker.js`, and tells of both at the foot.

import { onLanguageChange, t, translate } from './i18n.js';

const ASK_EVERY_MS = 3000;

const banner = document.getElementById('banner');
const words = banner.querySelector('[data-part=words]');
const button = banner.querySelector('button');
let isAway = false; // the service, though the network may be there
let asking = null;
let newer = null; // the worker of a new version, waiting

/** @param mayReload () => whether nothing is lost by a reload now */
export function startOffline(api, mayReload) {
  addEventListener('offline', tell);
  addEventListener('online', () => {
    tell();
    if (isAway) ask(api);
  });
  api.addEventListener('reach', () => {
    isAway = !api.isReachable;
    if (isAway) ask(api);
    tell();
  });
  button.addEventListener('click', () => newer?.postMessage('take over'));
  onLanguageChange(tell);
  tell();
  // Browsers offer service workers over HTTPS and on localhost only; elsewhere the page does without.
  if (isSecureContext && navigator.serviceWorker) whenIdle(() => register(mayReload));
}

/** Until the service answers, whatever it answers. */
function ask(api) {
  clearTimeout(asking);
  if (!isAway) return;
  asking = setTimeout(async () => {
    await api.response('health').catch(() => {});
    ask(api);
  }, ASK_EVERY_MS);
}

function tell() {
  const key = !navigator.onLine ? 'offline.network' : isAway ? 'offline.service' : newer ? 'offline.newer' : null;
  banner.hidden = key === null;
  button.hidden = key !== 'offline.newer';
  words.textContent = key ? t(key) : '';
  translate(banner);
}

/** After the first load, so that what is kept for later does not slow what is wanted now. */
function whenIdle(act) {
  const soon = () => (window.requestIdleCallback ? requestIdleCallback(act) : setTimeout(act, 1000));
  if (document.readyState === 'complete') soon();
  else addEventListener('load', soon, { once: true });
}

async function register(mayReload) {
  const wasControlled = Boolean(navigator.serviceWorker.controller);
  navigator.serviceWorker.addEventListener('controllerchange', () => {
    if (wasControlled) location.reload(); // Else it is the first one, and of this page's version.
  });
  try {
    const registration = await navigator.serviceWorker.register(new URL('worker.js', import.meta.url), {
      scope: './',
      updateViaCache: 'none',
    });
    follow(registration, mayReload);
  } catch {
    // Refused by the browser, or away: the page works without.
  }
}

function follow(registration, mayReload) {
  const found = (worker) => {
    if (!worker || !navigator.serviceWorker.controller) return;
    newer = worker;
    if (mayReload()) worker.postMessage('take over');
    else tell();
  };
  found(registration.waiting);
  registration.addEventListener('updatefound', () => {
    const worker = registration.installing;
    worker.addEventListener('statechange', () => worker.state === 'installed' && found(worker));
  });
}
