// Small charts as SVG. Each is a picture to a screen reader, with a sentence that says what it shows;
// the caller offers the same figures as a table where a sentence cannot tell them all.

const SVG = 'http://www.w3.org/2000/svg';
const AXIS_PIXELS = 22; // below the columns, for the names
const SCALE_PIXELS = 34; // left of them, for the scale
const TOP_PIXELS = 8;
const GAP = 0.28; // of a column's width
const NAME_PIXELS = 52; // what a name needs to stand alone

export function element(name, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

/**
 * Columns of stacked values, drawn at the width the frame has, so that letters keep their size.
 *
 * Each part gets the class `series-<key>`; colours and hatches are the stylesheet's.
 */
export class StackedColumns {
  #columns = [];
  #observer = new ResizeObserver(() => this.#draw());

  /** @param series the keys of the parts, from the bottom up; @param height in CSS pixels */
  constructor(frame, { series, height = 180, format = String }) {
    Object.assign(this, { frame, series, height, format });
    this.svg = element('svg', { class: 'chart', role: 'img', height });
    frame.replaceChildren(this.svg);
    this.#observer.observe(frame);
  }

  /** @param columns [{name, title, values: {key: number}}]; @param summary a sentence for who cannot see it */
  show(columns, summary) {
    this.#columns = columns;
    this.svg.setAttribute('aria-label', summary);
    this.#draw();
  }

  stop() {
    this.#observer.disconnect();
  }

  #draw() {
    const width = this.frame.clientWidth;
    if (!width || !this.#columns.length) return;
    this.svg.setAttribute('width', width);
    const top = niceCeiling(Math.max(...this.#columns.map(({ values }) => this.#sum(values))));
    const plot = { width: width - SCALE_PIXELS, height: this.height - AXIS_PIXELS - TOP_PIXELS, top };
    this.svg.replaceChildren(hatch(), ...this.#scale(plot), ...this.#bars(plot), ...this.#names(plot));
  }

  #sum(values) {
    return this.series.reduce((sum, key) => sum + values[key], 0);
  }

  #scale({ width, height, top }) {
    return [0, top / 2, top]
      .filter((value) => Number.isInteger(value))
      .flatMap((value) => {
        const y = Math.round(TOP_PIXELS + height * (1 - value / top)) + 0.5;
        return [
          element('line', { class: 'chart-line', x1: SCALE_PIXELS, x2: SCALE_PIXELS + width, y1: y, y2: y }),
          element('text', { class: 'chart-text', x: SCALE_PIXELS - 8, y: y + 4, 'text-anchor': 'end' }, this.format(value)),
        ];
      });
  }

  #bars({ width, height, top }) {
    const step = width / this.#columns.length;
    return this.#columns.map(({ title, values }, index) => {
      let below = TOP_PIXELS + height;
      const x = SCALE_PIXELS + step * (index + GAP / 2);
      const parts = this.series.filter((key) => values[key] > 0).map((key) => {
        const tall = Math.max((values[key] / top) * height, 2);
        below -= tall;
        return element('rect', { class: `series-${key}`, x, y: below, width: step * (1 - GAP), height: tall, rx: 1 });
      });
      const whole = { class: 'chart-hit', x: SCALE_PIXELS + step * index, y: TOP_PIXELS, width: step, height };
      return element('g', {}, element('title', {}, title), element('rect', whole), ...parts);
    });
  }

  /** As many names as there is room for, the last column's among them. */
  #names({ width, height }) {
    const step = width / this.#columns.length;
    const every = Math.max(1, Math.ceil(NAME_PIXELS / step));
    const last = this.#columns.length - 1;
    return this.#columns.flatMap(({ name }, index) => {
      if ((last - index) % every) return [];
      const x = index === last ? SCALE_PIXELS + width : SCALE_PIXELS + step * (index + 0.5);
      const anchor = index === last ? 'end' : 'middle';
      return [element('text', { class: 'chart-text', x, y: TOP_PIXELS + height + 17, 'text-anchor': anchor }, name)];
    });
  }
}

/** A bar that is filled from the left by `fraction`, 0 to 1. What it means stands beside it in words. */
export function bar(fraction) {
  const filled = Math.min(Math.max(fraction, 0), 1);
  return element('svg', { class: 'bar', 'aria-hidden': 'true', width: '100%', height: 6 },
    element('rect', { class: 'bar-whole', width: '100%', height: 6, rx: 3 }),
    element('rect', { class: 'bar-part', width: `${filled * 100}%`, height: 6, rx: 3 }));
}

/** Stripes, so that colour is not all that tells two parts apart. */
function hatch() {
  const stripes = { id: 'chart-hatch', width: 5, height: 5, patternUnits: 'userSpaceOnUse', patternTransform: 'rotate(45)' };
  return element('defs', {}, element('pattern', stripes,
    element('rect', { class: 'hatch-ground', width: 5, height: 5 }),
    element('rect', { class: 'hatch-stripe', width: 2, height: 5 })));
}

/** The next of 2, 4, 6, 8, 10, 20, 40, 60 …: an even number, so that its half is a line too. */
function niceCeiling(value) {
  for (let unit = 1; ; unit *= 10) {
    const found = [2, 4, 6, 8, 10].find((digit) => digit * unit >= value);
    if (found) return found * unit;
  }
}
