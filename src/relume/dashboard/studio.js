// The form that asks for a picture: words, size, model, and what few people need behind one disclosure.

import { isSide, LEAST_SIDE, modelOf, SHAPES, sizeOf } from './drawing.js';
import { element } from './chart.js';
import { number, t } from './i18n.js';

const CUSTOM = 'custom';
const LARGEST_SEED = 2 ** 32 - 1;
const ICON_SIDE = 18; // of the little frames that show a shape, in a box of 24

export class Studio {
  #models = [];

  /** @param onAsk called with `{prompt, model, width, height, seed?, negative_prompt?}` */
  constructor(root, onAsk) {
    this.form = root.querySelector('[data-part=form]');
    this.part = (name) => this.form.querySelector(`[data-part=${name}]`);
    this.shapeTemplate = root.querySelector('[data-part=shape-template]');
    this.part('shapes').append(...[...SHAPES, CUSTOM].map((shape) => this.#shapeChoice(shape)));
    this.form.addEventListener('input', () => this.#describe());
    this.form.addEventListener('submit', (event) => {
      event.preventDefault();
      const options = this.#read();
      if (options) onAsk(options);
    });
    this.form.elements.prompt.addEventListener('keydown', (event) => {
      if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) this.form.requestSubmit();
    });
  }

  offer(models) {
    this.#models = models;
    this.form.hidden = !models.length;
    const options = models.map(({ name, title }) => new Option(title, name));
    this.form.elements.model.replaceChildren(...options);
    this.#describe();
  }

  /** Puts the words and settings of an earlier picture back, to change them a little. */
  fill({ prompt, model, width, height, seed, negative_prompt: negative }) {
    const { elements } = this.form;
    elements.prompt.value = prompt;
    if (this.#models.some(({ name }) => name === model)) elements.model.value = model;
    elements.shape.value = SHAPES.find((shape) => sameSize(sizeOf(shape, this.#model), { width, height })) ?? CUSTOM;
    Object.assign(elements.width, { value: width });
    Object.assign(elements.height, { value: height });
    elements.seed.value = seed ?? '';
    elements.negative_prompt.value = negative ?? '';
    this.part('more').open = seed !== undefined || Boolean(negative);
    this.#describe();
    elements.prompt.focus();
  }

  relabel() {
    this.#describe();
  }

  get #model() {
    return this.#models.find(({ name }) => name === this.form.elements.model.value) ?? modelOf('');
  }

  get #size() {
    const { elements } = this.form;
    const shape = elements.shape.value;
    if (shape !== CUSTOM) return sizeOf(shape, this.#model);
    return { width: elements.width.valueAsNumber, height: elements.height.valueAsNumber };
  }

  #shapeChoice(shape) {
    const choice = this.shapeTemplate.content.firstElementChild.cloneNode(true);
    choice.querySelector('input').value = shape;
    choice.querySelector('input').checked = shape === SHAPES[0];
    choice.querySelector('[data-part=shape-name]').textContent = shape;
    if (shape === CUSTOM) {
      choice.querySelector('[data-part=shape-name]').dataset.i18n = 'generate.custom';
      choice.querySelector('[data-part=shape-name]').textContent = t('generate.custom');
      choice.querySelector('svg').replaceChildren(element('path', { d: 'M4 9V4h5M20 15v5h-5M15 4h5v5M9 20H4v-5' }));
    } else {
      frame(choice.querySelector('rect'), shape);
    }
    return choice;
  }

  #describe() {
    const { elements } = this.form;
    const model = this.#model;
    const isCustom = elements.shape.value === CUSTOM;
    if (isCustom && !elements.width.value) this.#startCustom();
    this.part('custom').hidden = !isCustom;
    for (const side of [elements.width, elements.height]) {
      Object.assign(side, { min: LEAST_SIDE, max: model.most, step: model.step });
    }
    this.part('size-meaning').textContent = isCustom ? this.#bounds() : inPixels(this.#size);
    this.part('model-meaning').textContent = model.name;
    elements.negative_prompt.disabled = !model.takesNegativePrompt;
    this.part('negative-meaning').textContent = t(
      model.takesNegativePrompt ? 'generate.negativeMeaning' : 'generate.negativeNotTaken',
    );
    this.#forgetFaults();
  }

  #startCustom() {
    const { side } = this.#model;
    this.form.elements.width.value = side;
    this.form.elements.height.value = side;
  }

  #bounds() {
    const { most, step } = this.#model;
    const values = { least: number(LEAST_SIDE), most: number(most), step: number(step) };
    return t(step === 1 ? 'generate.bounds' : 'generate.boundsStep', values);
  }

  /** What is to be asked for, or null after telling what is wrong. */
  #read() {
    this.#forgetFaults();
    const { elements } = this.form;
    const prompt = elements.prompt.value.trim();
    if (!prompt) return this.#fault('prompt-error', t('generate.promptMissing'), elements.prompt);
    const { width, height } = this.#size;
    if (!isSide(width, this.#model)) return this.#fault('size-error', this.#bounds(), elements.width);
    if (!isSide(height, this.#model)) return this.#fault('size-error', this.#bounds(), elements.height);
    return this.#withExtras({ prompt, model: this.#model.name, width, height });
  }

  #withExtras(options) {
    const { seed, negative_prompt: negative } = this.form.elements;
    if (seed.value !== '' || seed.validity.badInput) {
      const value = seed.valueAsNumber;
      if (!Number.isInteger(value) || value < 0 || value > LARGEST_SEED) {
        this.part('more').open = true;
        return this.#fault('seed-error', t('generate.seedWrong', { most: number(LARGEST_SEED) }), seed);
      }
      options.seed = value;
    }
    if (!negative.disabled && negative.value.trim()) options.negative_prompt = negative.value.trim();
    return options;
  }

  #fault(name, sentence, field) {
    this.part(name).textContent = sentence;
    field.setAttribute('aria-invalid', 'true');
    field.focus();
    return null;
  }

  #forgetFaults() {
    for (const fault of this.form.querySelectorAll('.error')) fault.textContent = '';
    for (const field of this.form.querySelectorAll('[aria-invalid]')) field.removeAttribute('aria-invalid');
  }
}

const sameSize = (one, other) => one.width === other.width && one.height === other.height;

export const inPixels = ({ width, height }) => t('generate.pixels', { width: number(width), height: number(height) });

function frame(rect, shape) {
  const [across, down] = shape.split(':').map(Number);
  const width = across >= down ? ICON_SIDE : (ICON_SIDE * across) / down;
  const height = (width * down) / across;
  const place = { width, height, x: 12 - width / 2, y: 12 - height / 2 };
  for (const [name, value] of Object.entries(place)) rect.setAttribute(name, value);
}
