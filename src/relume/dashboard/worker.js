// The page without a network. This service worker keeps the page's own files, and those alone: never
// an answer of the API, never a photo. They belong together by the version that `shell.js` tells, so
// a page never mixes files of two versions; a new version waits until the page says it may take over.

importScripts('shell.js');

const { version, files } = self.SHELL;
const OWN = `relume ${new URL(self.registration.scope).pathname} `;
const CACHE = OWN + version;
const HOME = new URL('./', self.location).href;
const KEPT = new Set(files.map((file) => new URL(file, HOME).href));

self.addEventListener('install', (event) => {
  const fresh = [...KEPT].map((url) => new Request(url, { cache: 'no-cache' }));
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(fresh)));
});

self.addEventListener('activate', (event) => {
  event.waitUntil(forgetOtherVersions().then(() => self.clients.claim()));
});

async function forgetOtherVersions() {
  const names = await caches.keys();
  const old = names.filter((name) => name.startsWith(OWN) && name !== CACHE);
  await Promise.all(old.map((name) => caches.delete(name)));
}

self.addEventListener('message', ({ data }) => {
  if (data === 'take over') self.skipWaiting();
});

self.addEventListener('fetch', (event) => {
  const url = fileOf(event.request);
  if (url) event.respondWith(kept(url, event.request));
});

/** The address that the file is kept by; null for what is not the page's, which goes its usual way. */
function fileOf({ method, url }) {
  const { origin, pathname } = new URL(url);
  const plain = origin + pathname === HOME ? `${HOME}index.html` : origin + pathname;
  return method === 'GET' && KEPT.has(plain) ? plain : null;
}

async function kept(url, request) {
  const cache = await caches.open(CACHE);
  return (await cache.match(url)) ?? fetch(request);
}
