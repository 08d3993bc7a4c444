// The large view: where a person sees the photo again, before and after.
//
// It stands on `viewer-picture.js` (the two pictures), `viewer-zoom.js`, `blend.js` (strength), `viewer-facts.js`
// (what was done), `viewer-delete.js` and `viewer-keys.js`. What it is given is a ViewerItem (`viewer-item.js`). When
// a result at another strength has been saved, or the files have been deleted, `document` hears `relume:saved` or
// `relume:deleted`, with `detail.given` as it came in and `detail.item` as it is now.

import { announce } from './announce.js';
import { resultPath } from './api.js';
import { loadStyle, loadTemplate } from './assets.js';
import { Strength } from './blend.js';
import { tellChange } from './changes.js';
import { size } from './facts.js';
import { number, onLanguageChange, t, translate } from './i18n.js';
import { Deletion } from './viewer-delete.js';
import { FactsPanel } from './viewer-facts.js';
import { itemOf, remade } from './viewer-item.js';
import { listenToKeys } from './viewer-keys.js';
import { Picture } from './viewer-picture.js';
import { ZoomButtons } from './viewer-zoom.js';

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
  #cameFrom = null;

  constructor(api) {
    this.api = api;
    this.zoomButtons = new ZoomButtons(dialog, part('stage'), () => this.picture.zoom);
    this.picture = new Picture(part, { turn: (by) => this.#turn(by), zoomed: () => this.zoomButtons.tell() });
    this.facts = new FactsPanel(part, api);
    this.deletion = new Deletion(confirmation, part, api, (item) => this.#deleted(item));
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
      this.facts.open();
      dialog.showModal();
    }
    part('name').focus({ focusVisible: false });
    return this.#show();
  }

  #listen() {
    const does = {
      turn: (by) => this.#turn(by),
      hold: (isHeld) => this.#hold(isHeld),
      facts: () => this.facts.toggle(),
      help: () => keyList.showModal(),
    };
    listenToKeys(dialog, this.picture.zoom, does);
    const clicks = {
      close: () => dialog.close(), previous: () => does.turn(-1), next: () => does.turn(+1), facts: does.facts,
      help: does.help, delete: () => this.deletion.ask(this.#item),
    };
    for (const [name, act] of Object.entries(clicks)) part(name).addEventListener('click', act);
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
    this.strength.leave();
    this.#hold(false);
    this.#tellItem();
    this.facts.wait();
    part('size').textContent = '';
    this.#message('');
    const [arrived, facts] = await Promise.all([this.#arrive(item), this.facts.learn(item)]);
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

  #turn(by) {
    const next = this.#index + by;
    if (next < 0 || next >= this.#items.length) return;
    this.#index = next;
    this.#show();
    this.#say(t('viewer.turned', this.#placeInWords()));
  }

  #leave() {
    this.facts.leave();
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
  }

  #placeInWords() {
    return { name: this.#item.name, place: number(this.#index + 1), total: number(this.#items.length) };
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
    this.zoomButtons.relabel();
    if (!dialog.open) return;
    this.#tellItem();
    this.facts.relabel();
    this.strength.relabel();
  }

  // ── What a person does ────────────────────────────────────────────────────────────────────────

  #hold(isHeld) {
    this.picture.hold(isHeld);
    part('hold').setAttribute('aria-pressed', String(isHeld));
  }

  #saved(made) {
    const item = remade(this.#item, made);
    this.#items[this.#index] = item;
    this.#tellItem();
    this.facts.learn(item);
    tellChange('saved', item, item.given);
  }

  #deleted(item) {
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
