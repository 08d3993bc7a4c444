// The two pictures on the viewer's stage, and the divider between them.
//
// The original lies below and the result above it, each in a window of the stage's size. The windows are cut where
// the divider stands and do not move; the pictures in them share one transform (zoom.js).

import { Gestures } from './gestures.js';
import { t } from './i18n.js';
import { Divider } from './slider.js';
import { Zoom } from './zoom.js';

const MIDDLE = 50;

export class Picture {
  #blob = null; // URL of the file, to be given back
  #shown = 0; // counts the photos: what arrives late for an earlier one is dropped
  #result = null; // address of the result that is asked for
  #opacity = 1;
  #drawn = '';

  /** @param part (name) => element; @param does {turn(by), zoomed()} */
  constructor(part, does) {
    Object.assign(this, {
      does, stage: part('stage'), frame: part('frame'), handle: part('handle'),
      before: part('before'), after: part('after'), under: part('under'), over: part('over'),
    });
    this.zoom = new Zoom(this.stage, [this.before, this.after], () => {
      this.#arrange();
      does.zoomed();
    });
    this.divider = new Divider(this.handle, () => this.#arrange());
    new Gestures(this.stage, this.handle, this.zoom, {
      divide: (x) => this.#divideAt(x),
      grab: () => this.handle.focus({ preventScroll: true, focusVisible: false }),
      turn: does.turn,
    });
  }

  get hasOriginal() {
    return !this.stage.classList.contains('is-alone');
  }

  /** Resolves to `{original, result}`: whether each could be shown; null when another photo was wanted meanwhile. */
  async show(item) {
    const shown = this.#clear(item);
    const arrived = await Promise.all([this.#loadOriginal(item, shown), this.#loadResult(item.path, shown)]);
    return shown === this.#shown ? { original: arrived[0], result: arrived[1] } : null;
  }

  /** The result at `path`, `opacity` of it over the original. Resolves to whether it is there. */
  async mix(path, opacity) {
    this.#opacity = opacity;
    const isThere = path === this.#result || (await this.#loadResult(path, this.#shown, { keep: true }));
    if (path === this.#result) this.#blend();
    return isThere;
  }

  /** The original alone, as long as somebody holds. */
  hold(isHeld) {
    this.stage.classList.toggle('is-held', isHeld && this.hasOriginal);
    this.#arrange();
  }

  leave() {
    this.#shown += 1;
    this.#result = null;
    for (const image of [this.before, this.after]) image.removeAttribute('src');
    if (this.#blob) URL.revokeObjectURL(this.#blob);
    this.#blob = null;
  }

  #clear(item) {
    this.leave();
    this.#opacity = 1;
    this.stage.classList.add('is-loading');
    this.stage.classList.remove('is-alone', 'is-held', 'is-gone');
    this.before.alt = t('card.original', { name: item.name });
    this.after.alt = t('card.result', { name: item.name });
    this.divider.position = MIDDLE;
    this.#blob = item.file ? URL.createObjectURL(item.file) : null;
    return this.#shown;
  }

  /** From this tab, else from the server: a browser cannot show each file that it can send, HEIC for one. */
  async #loadOriginal(item, shown) {
    for (const source of [this.#blob, item.originalUrl].filter(Boolean)) {
      if (await arrives(this.before, source)) return true;
      if (shown !== this.#shown) return false;
    }
    this.stage.classList.add('is-alone');
    this.#arrange();
    return false;
  }

  async #loadResult(path, shown, { keep = false } = {}) {
    this.#result = path;
    const image = keep ? new Image() : this.after; // What is seen stays until the next one is there.
    const isThere = await arrives(image, path);
    if (shown !== this.#shown || path !== this.#result) return false;
    if (!isThere) {
      if (!keep) this.stage.classList.add('is-gone');
      return false;
    }
    if (keep) this.after.src = image.src;
    this.zoom.show(image.naturalWidth, image.naturalHeight, { keep });
    this.stage.classList.remove('is-loading', 'is-gone');
    this.#blend();
    return true;
  }

  #blend() {
    this.after.style.opacity = this.#opacity;
    this.#arrange();
  }

  #divideAt(x) {
    const { left, right } = this.zoom.visible;
    this.divider.position = ((x - left) / (right - left)) * 100;
  }

  /** Nothing is written that has not changed: looking around a large photo then touches its transform alone. */
  #arrange() {
    const { left, top, right, bottom } = this.zoom.visible;
    const split = Math.round(left + ((right - left) * this.divider.position) / 100);
    const isMixed = this.#opacity < 1 || this.stage.classList.contains('is-held');
    const drawn = [left, top, right, bottom, split, isMixed].join(' ');
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    Object.assign(this.frame.style, {
      left: `${left}px`, top: `${top}px`, width: `${right - left}px`, height: `${bottom - top}px`,
    });
    this.handle.style.transform = `translateX(${split - left}px)`;
    // Only a mixed result lets the original through; a transparent one would let it through wrongly.
    this.under.style.clipPath = isMixed ? 'none' : `inset(0 calc(100% - ${split}px) 0 0)`;
    this.over.style.clipPath = `inset(0 0 0 ${split}px)`;
    this.stage.dataset.mostly = this.divider.position < 15 ? 'after' : this.divider.position > 85 ? 'before' : '';
  }
}

/** Decoded before it is shown, so that a large photo does not stop the page when it appears. */
async function arrives(image, source) {
  image.src = source;
  try {
    await image.decode();
    return true;
  } catch {
    return false;
  }
}
