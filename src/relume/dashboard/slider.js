// The before/after slider: one picture over another, divided where the handle stands.

import { onLanguageChange, percent, t } from './i18n.js';

const STEP = 2;
const LARGE_STEP = 10;
const MIDDLE = 50;

const MOVES = {
  ArrowLeft: (position) => position - STEP,
  ArrowDown: (position) => position - STEP,
  ArrowRight: (position) => position + STEP,
  ArrowUp: (position) => position + STEP,
  PageDown: (position) => position - LARGE_STEP,
  PageUp: (position) => position + LARGE_STEP,
  Home: () => 0,
  End: () => 100,
};

/** The handle, as a keyboard and a screen reader meet it. `moved` is called with each new position. */
export class Divider {
  #position = MIDDLE;

  constructor(handle, moved) {
    this.handle = handle;
    this.moved = moved;
    handle.addEventListener('keydown', (event) => this.#onKey(event));
    onLanguageChange(() => this.#tell());
    this.#tell();
  }

  /** Share of the width, in percent, that shows the picture before. */
  get position() {
    return this.#position;
  }

  set position(value) {
    this.#position = Math.min(100, Math.max(0, value));
    this.#tell();
    this.moved(this.#position);
  }

  #tell() {
    const before = Math.round(this.#position);
    this.handle.setAttribute('aria-valuenow', before);
    const values = { before: percent(before / 100), after: percent(1 - before / 100) };
    this.handle.setAttribute('aria-valuetext', t('compare.value', values));
  }

  #onKey(event) {
    const move = MOVES[event.key];
    if (!move || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    this.position = move(this.position);
  }
}

/** A slider that fills its picture: in a card, in the page's opening. */
export class CompareSlider {
  #dragging = false;
  #divider;

  /** @param root an element with the markup of `#compare-template` */
  constructor(root) {
    this.root = root;
    this.before = root.querySelector('.compare-before');
    this.after = root.querySelector('.compare-after');
    this.handle = root.querySelector('[role=slider]');
    this.#divider = new Divider(this.handle, (position) => this.#divide(position));
    root.addEventListener('pointerdown', (event) => this.#onDown(event));
    root.addEventListener('pointermove', (event) => this.#onMove(event));
    root.addEventListener('pointerup', (event) => this.#onUp(event));
    root.addEventListener('pointercancel', () => this.#release());
    this.position = MIDDLE;
  }

  get position() {
    return this.#divider.position;
  }

  set position(value) {
    this.#divider.position = value;
  }

  /** Let the result appear from the right, once; at once where motion is unwelcome. */
  reveal() {
    this.position = MIDDLE;
    if (matchMedia('(prefers-reduced-motion: reduce)').matches) return;
    this.root.classList.add('is-revealing');
    this.root.addEventListener('animationend', () => this.root.classList.remove('is-revealing'), { once: true });
  }

  #divide(position) {
    this.root.style.setProperty('--position', `${position}%`);
    this.root.classList.toggle('is-mostly-after', position < 25);
    this.root.classList.toggle('is-mostly-before', position > 75);
  }

  /** A finger may want to scroll the page, so it moves the divider only once it moves sideways. */
  #onDown(event) {
    if (event.button !== 0) return;
    this.#dragging = true;
    this.root.setPointerCapture(event.pointerId);
    this.root.classList.add('is-dragging');
    if (event.pointerType !== 'touch') this.#moveTo(event);
    this.handle.focus({ preventScroll: true, focusVisible: false });
    event.preventDefault();
  }

  #onMove(event) {
    if (this.#dragging) this.#moveTo(event);
  }

  #onUp(event) {
    if (this.#dragging) this.#moveTo(event);
    this.#release();
  }

  #release() {
    this.#dragging = false;
    this.root.classList.remove('is-dragging');
  }

  #moveTo(event) {
    const { left, width } = this.root.getBoundingClientRect();
    this.position = ((event.clientX - left) / width) * 100;
  }
}

/** A new slider in place of `container`'s content. */
export function makeSlider(container) {
  const template = document.getElementById('compare-template');
  const root = template.content.firstElementChild.cloneNode(true);
  for (const [selector, key] of [['.label-before', 'compare.before'], ['.label-after', 'compare.after']]) {
    root.querySelector(selector).textContent = t(key);
  }
  root.querySelector('[role=slider]').setAttribute('aria-label', t('compare.label'));
  container.replaceChildren(root);
  return new CompareSlider(root);
}
