// The large view: where a person sees the photo again, before and after.
//
// It stands on `viewer-picture.js` (the two pictures), `blend.js` (strength), `facts.js` (what was done) and
// `viewer-keys.js`. What it is given is a ViewerItem (`viewer-item.js`). When a result at another strength has been
// saved, or the files have been deleted, `document` hears `relume:saved` or `relume:deleted`, with
// `detail.given` as it came in and `detail.item` as it is now.

import { announce } from './announce.js';
import { resultPath } from './api.js';
import { loadStyle, loadTemplate } from './assets.js';
import { Strength } from './blend.js';
import { tellChange } from './changes.js';
import { account, factsOf, keptFor, size } from './facts.js';
import { explain, number, onLanguageChange, percent, t, translate } from './i18n.js';
import { itemOf, remade } from './viewer-item.js';
import { listenToKeys } from './viewer-keys.js';
import { Picture } from './viewer-picture.js';

const WIDE = '(min-width: 60rem)';
const EVERY_MINUTE_MS = 60_000;

await loadStyle('styles/viewer.css');
document.body.append(await loadTemplate('views/viewer.html'));

const dialog = document.getElementById('viewer');
const confirmation = document.getElementById('viewer-delete');
const keyList = document.getElementById('viewer-keys');
const part = (name) => document.querySelector(`:is(#viewer, #viewer-delete) [data-part=${name}]`);

let viewer = null;

/**
 * Opens the one viewer of the page.
 * @param {import('./viewer-item.js').ViewerItem} item
 * @param siblings the items that Previous and Next go to, `item` among them
 */
export function openViewer(item, siblings = [item], { api }) {
  viewer ??= new Viewer(api);
  return viewer.open(item, siblings);
}

class Viewer {
  #items = [];
  #index = 0;
  #facts = null;
  #cameFrom = null;
  #clock = null;

  constructor(api) {
    this.api = api;
    this.picture = new Picture(part, { turn: (by) => this.#turn(by), zoomed: () => this.#tellZoom() });
    this.strength = new Strength(part, api, this.picture, {
      pathOf: resultPath,
      begun: ({ jobs }, jobId) => jobs.push(jobId),
      saved: (made) => this.#saved(made),
    });
    this.#listen();
  }

  get #item() {
    return this.#items[this.#index];
  }

  open(given, siblings) {
    this.#items = siblings.map(itemOf);
    this.#index = Math.max(0, siblings.indexOf(given));
    if (!dialog.open) {
      this.#cameFrom = document.activeElement;
      this.#showFacts(matchMedia(WIDE).matches);
      dialog.showModal();
      this.#clock = setInterval(() => this.#tellKept(), EVERY_MINUTE_MS);
    }
    part('name').focus({ focusVisible: false });
    return this.#show();
  }

  #listen() {
    const does = {
      turn: (by) => this.#turn(by),
      hold: (isHeld) => this.#hold(isHeld),
      facts: () => this.#showFacts(part('panel').hidden),
      help: () => keyList.showModal(),
    };
    listenToKeys(dialog, this.picture.zoom, does);
    const clicks = {
      close: () => dialog.close(), previous: () => does.turn(-1), next: () => does.turn(+1), facts: does.facts,
      help: does.help, delete: () => this.#askToDelete(), 'delete-yes': () => this.#delete(),
    };
    for (const [name, act] of Object.entries(clicks)) part(name).addEventListener('click', act);
    for (const button of dialog.querySelectorAll('[data-zoom]')) {
      button.addEventListener('click', () => this.#zoom(button.dataset.zoom));
    }
    this.#listenToHold(part('hold'));
    dialog.addEventListener('close', () => this.#leave());
    onLanguageChange(() => this.#relabel());
  }

  /** Held by a pointer; for whoever cannot hold, and for a screen reader, a click without one switches. */
  #listenToHold(button) {
    button.addEventListener('pointerdown', (event) => {
      button.setPointerCapture(event.pointerId);
      this.#hold(true);
    });
    for (const end of ['pointerup', 'pointercancel']) button.addEventListener(end, () => this.#hold(false));
    button.addEventListener('contextmenu', (event) => event.preventDefault()); // of a long press
    button.addEventListener('click', ({ detail }) => {
      if (detail === 0) this.#hold(button.getAttribute('aria-pressed') !== 'true');
    });
  }

  // ── One photo ─────────────────────────────────────────────────────────────────────────────────

  async #show() {
    const item = this.#item;
    this.#facts = null;
    this.strength.leave();
    this.#hold(false);
    this.#tellItem();
    part('size').textContent = '';
    part('account').replaceChildren(waiting());
    this.#message('');
    const [arrived, facts] = await Promise.all([this.#arrive(item), this.#learn(item)]);
    if (item !== this.#item || !arrived || !facts || !dialog.open) return;
    const canMix = arrived.original && arrived.result && facts.strength && facts.account?.outcome !== 'unchanged';
    part('strength-section').hidden = !canMix;
    if (canMix) this.strength.offer({ ...item, strength: facts.strength });
  }

  async #arrive(item) {
    const arrived = await this.picture.show(item);
    if (!arrived) return null;
    if (!arrived.result) this.#message(t('error.result_gone'));
    else part('size').textContent = size(part('after').naturalWidth, part('after').naturalHeight);
    part('hold').disabled = !arrived.original || !arrived.result;
    return arrived;
  }

  async #learn(item) {
    try {
      const facts = await factsOf(this.api, item);
      if (item === this.#item) this.#tellFacts(facts);
      return facts;
    } catch (error) {
      if (item === this.#item) part('account').replaceChildren(paragraph(explain(error)));
      return null;
    }
  }

  #tellFacts(facts) {
    this.#facts = facts;
    part('account').replaceChildren(...(facts?.account ? account(facts.account) : []));
    this.#tellKept();
  }

  #turn(by) {
    const next = this.#index + by;
    if (next < 0 || next >= this.#items.length) return;
    this.#index = next;
    this.#show();
    this.#say(t('viewer.turned', this.#placeInWords()));
  }

  #leave() {
    clearInterval(this.#clock);
    this.strength.leave();
    this.picture.leave();
    const back = this.#cameFrom?.isConnected ? this.#cameFrom : document.getElementById('main'); // Its card may be gone.
    back.focus({ preventScroll: true });
  }

  // ── What is told ──────────────────────────────────────────────────────────────────────────────

  #tellItem() {
    const { name, path, downloadName } = this.#item;
    part('name').textContent = part('name').title = name;
    Object.assign(part('download'), { href: path, download: downloadName ?? '' });
    const focused = document.activeElement;
    part('previous').disabled = this.#index === 0;
    part('next').disabled = this.#index === this.#items.length - 1;
    if (focused?.disabled) part('name').focus({ focusVisible: false }); // Else it would be lost, and the keys with it.
    part('turn').hidden = this.#items.length < 2;
    const { place, total } = this.#placeInWords();
    part('place').textContent = t('viewer.place', { place, total });
    this.#tellKept();
  }

  #placeInWords() {
    return { name: this.#item.name, place: number(this.#index + 1), total: number(this.#items.length) };
  }

  #tellKept() {
    part('kept').textContent = this.#facts ? keptFor(this.#facts.expiresAt) : '';
  }

  #tellZoom() {
    const { zoom } = this.picture;
    const pressed = zoom.fits ? 'fit' : ['1', '2'].find((factor) => Math.abs(zoom.factor - factor) < 0.001);
    for (const button of dialog.querySelectorAll('[data-zoom]')) {
      button.setAttribute('aria-pressed', String(button.dataset.zoom === pressed));
    }
    part('stage').classList.toggle('can-pan', zoom.canPan);
  }

  /** To screen readers: while the dialog is open, they hear nothing of the page behind it. */
  #say(sentence) {
    part('spoken').textContent = sentence;
  }

  #message(sentence) {
    part('message').textContent = sentence;
  }

  #relabel() {
    for (const element of [dialog, confirmation, keyList]) translate(element);
    for (const button of dialog.querySelectorAll('[data-zoom="1"], [data-zoom="2"]')) {
      button.textContent = percent(Number(button.dataset.zoom));
    }
    if (!dialog.open) return;
    this.#tellItem();
    this.#tellFacts(this.#facts);
    this.strength.relabel();
  }

  // ── What a person does ────────────────────────────────────────────────────────────────────────

  #zoom(name) {
    if (name === 'fit') this.picture.zoom.fit();
    else this.picture.zoom.to(Number(name));
  }

  #hold(isHeld) {
    this.picture.hold(isHeld);
    part('hold').setAttribute('aria-pressed', String(isHeld));
  }

  #showFacts(isShown) {
    part('panel').hidden = !isShown;
    part('facts').setAttribute('aria-expanded', String(isShown));
  }

  #saved(made) {
    const item = remade(this.#item, made);
    this.#items[this.#index] = item;
    this.#tellItem();
    this.#learn(item);
    tellChange('saved', item, item.given);
  }

  #askToDelete() {
    part('delete-error').hidden = true;
    confirmation.showModal();
  }

  async #delete() {
    const item = this.#item;
    part('delete-yes').disabled = true;
    try {
      await Promise.all(item.jobs.map((id) => this.api.json(`api/v1/jobs/${id}/files`, { method: 'DELETE' })));
      this.#deleted(item);
    } catch (error) {
      Object.assign(part('delete-error'), { textContent: explain(error), hidden: false });
    }
    part('delete-yes').disabled = false;
  }

  #deleted(item) {
    confirmation.close();
    const sentence = t('viewer.deleted', { name: item.name });
    tellChange('deleted', item, item.given);
    this.#items = this.#items.filter((other) => other !== item);
    this.#index = Math.min(this.#index, this.#items.length - 1);
    if (!this.#items.length) {
      dialog.close();
      announce(sentence);
      return;
    }
    this.#show();
    this.#say(sentence);
  }
}

const paragraph = (text) => Object.assign(document.createElement('p'), { className: 'panel-note', textContent: text });

const waiting = () => Object.assign(document.createElement('div'), { className: 'facts-waiting' });
