// Where the picture lies on the stage: how large, and how far moved. One place and one scale hold for
// the picture before and after alike, so both stay in step to the pixel.
//
// Sizes are in pixels of the result, places in CSS pixels from the stage's upper left corner. At 100 % one pixel
// of the result is one pixel of the screen, whatever the screen's `devicePixelRatio`. Only a transform
// changes while somebody looks around: no layout, and no repainting of a large photo.
//
// Enlarged pixels are never drawn as squares (`image-rendering: pixelated`). The original of a result
// that was made four times larger would turn into blocks beside a smooth result, and look worse than it is.

const MARGIN_SHARE = 0.02;
const MARGIN_MOST = 20;
const LARGEST = 8; // screen pixels for one of the result
const SETTLED_MS = 160;

const clamp = (value, least, most) => Math.min(most, Math.max(least, value));

export class Zoom {
  #stage;
  #layers;
  #changed;
  #settle = null;
  #width = 0;
  #height = 0;
  #box = { width: 0, height: 0 };
  #scale = 1;
  #x = 0;
  #y = 0;
  #fits = true;

  /** @param layers the elements that lie on each other; @param changed () => void, after each change */
  constructor(stage, layers, changed) {
    this.#stage = stage;
    this.#layers = layers;
    this.#changed = changed;
    new ResizeObserver(([entry]) => this.#resized(entry.contentRect)).observe(stage);
  }

  /** Another picture, of so many pixels. It is shown fitted, or as it was where only its pixels are others. */
  show(width, height, { keep = false } = {}) {
    const isSame = keep && width === this.#width && height === this.#height;
    [this.#width, this.#height] = [width, height];
    for (const layer of this.#layers) Object.assign(layer.style, { width: `${width}px`, height: `${height}px` });
    if (!isSame) this.fit();
  }

  get fits() {
    return this.#fits;
  }

  /** Screen pixels for one pixel of the result: 1 is 100 %. */
  get factor() {
    return this.#scale * devicePixelRatio;
  }

  /** Whether there is more of the picture than the stage shows. */
  get canPan() {
    const { width, height } = this.#box;
    return this.#width * this.#scale > width + 0.5 || this.#height * this.#scale > height + 0.5;
  }

  /** What the stage shows of the picture. */
  get visible() {
    const { width, height } = this.#box;
    return {
      left: Math.max(0, this.#x),
      top: Math.max(0, this.#y),
      right: Math.min(width, this.#x + this.#width * this.#scale),
      bottom: Math.min(height, this.#y + this.#height * this.#scale),
    };
  }

  fit() {
    this.#fits = true;
    this.#place(this.#fitting, 0, 0);
  }

  /** So many screen pixels for one of the result, with the point `at` of the stage staying where it is. */
  to(factor, at = this.#middle) {
    const scale = clamp(factor / devicePixelRatio, this.#least, this.#most);
    const growth = scale / this.#scale;
    this.#fits = Math.abs(scale - this.#fitting) < 1e-6;
    this.#place(scale, at.x - (at.x - this.#x) * growth, at.y - (at.y - this.#y) * growth);
  }

  by(growth, at) {
    this.to(this.factor * growth, at);
  }

  pan(right, down) {
    this.#place(this.#scale, this.#x + right, this.#y + down);
  }

  /** Between the whole photo and its pixels; from a photo that fits at 100 % to twice that. */
  toggle(at) {
    if (!this.#fits) return this.fit();
    return this.to(Math.abs(this.factor - 1) < 0.01 || this.factor > 1 ? Math.max(2, this.factor * 2) : 1, at);
  }

  get #middle() {
    return { x: this.#box.width / 2, y: this.#box.height / 2 };
  }

  get #fitting() {
    const { width, height } = this.#box;
    if (!this.#width || !width) return 1;
    const margin = Math.min(MARGIN_MOST, width * MARGIN_SHARE);
    return Math.min((width - 2 * margin) / this.#width, (height - 2 * margin) / this.#height);
  }

  get #least() {
    return Math.min(this.#fitting, 1 / devicePixelRatio);
  }

  get #most() {
    return Math.max(2 * this.#fitting, LARGEST / devicePixelRatio);
  }

  #resized({ width, height }) {
    const middle = { x: (this.#box.width - width) / 2, y: (this.#box.height - height) / 2 };
    this.#box = { width, height };
    if (this.#fits) this.fit();
    else this.pan(-middle.x, -middle.y);
  }

  #place(scale, x, y) {
    this.#scale = scale;
    this.#x = this.#kept(x, this.#width * scale, this.#box.width);
    this.#y = this.#kept(y, this.#height * scale, this.#box.height);
    const transform = `translate(${this.#x}px, ${this.#y}px) scale(${scale})`;
    for (const layer of this.#layers) layer.style.transform = transform;
    this.#lift();
    this.#changed();
  }

  /** In the middle while it is smaller than the stage, else without a gap; and on whole screen pixels. */
  #kept(place, length, room) {
    const kept = length <= room ? (room - length) / 2 : clamp(place, room - length, 0);
    return Math.round(kept * devicePixelRatio) / devicePixelRatio;
  }

  /** A layer of its own while it moves; drawn anew, and sharp, when it rests. */
  #lift() {
    this.#stage.classList.add('is-moving');
    clearTimeout(this.#settle);
    this.#settle = setTimeout(() => this.#stage.classList.remove('is-moving'), SETTLED_MS);
  }
}
