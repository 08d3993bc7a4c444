// The settings for the photos that are added next.

import { onLanguageChange, percent, t } from './i18n.js';

const form = document.getElementById('options');
const part = (name) => form.querySelector(`[data-part=${name}]`);

const MEANINGS = [
  { upTo: 0.2, word: 'light' },
  { upTo: 0.45, word: 'gentle' },
  { upTo: 0.65, word: 'balanced' },
  { upTo: 0.95, word: 'strong' },
  { upTo: 1, word: 'full' },
];

let models = [];

/** What `POST /v1/restore` is to be told. `modelId` null: the service's default. */
export function currentOptions() {
  const modelId = form.elements.model?.value;
  return {
    strength: Number(form.elements.strength.value),
    upscale: Number(form.elements.upscale.value),
    modelId: models.some((model) => model.id === modelId && !model.default) ? modelId : null,
  };
}

/** @param onChange called after every change of a setting */
export function startOptions(onChange) {
  form.addEventListener('submit', (event) => event.preventDefault());
  form.addEventListener('input', () => {
    describe();
    onChange();
  });
  onLanguageChange(() => {
    drawModels();
    describe();
  });
  describe();
}

export function offerModels(offered) {
  models = offered;
  part('models').hidden = !models.length;
  drawModels();
  describe();
}

function describe() {
  const { strength, upscale } = currentOptions();
  const { word } = MEANINGS.find(({ upTo }) => strength <= upTo);
  part('strength-word').textContent = `${t(`strength.${word}`)}, ${percent(strength)}`;
  part('strength-meaning').textContent = t(`strength.${word}.meaning`);
  form.elements.strength.setAttribute('aria-valuetext', `${percent(strength)}: ${t(`strength.${word}`)}`);
  form.elements.strength.style.setProperty('--filled', (strength - 0.1) / 0.9);
  part('size-meaning').textContent = t(`size.${upscale}`);
  part('model-name').textContent = chosenModel()?.title ?? '';
}

const chosenModel = () =>
  models.find(({ id }) => id === currentOptions().modelId) ?? models.find((model) => model.default);

function drawModels() {
  const chosen = chosenModel();
  part('model-list').replaceChildren(...models.map((model) => modelChoice(model, model === chosen)));
}

function modelChoice(model, isChosen) {
  const choice = document.getElementById('model-template').content.firstElementChild.cloneNode(true);
  const input = choice.querySelector('input');
  Object.assign(input, { value: model.id, checked: isChosen });
  const title = model.default ? `${model.title} (${t('model.default')})` : model.title;
  choice.querySelector('[data-part=title]').textContent = title;
  choice.querySelector('[data-part=description]').textContent = model.description ?? '';
  return choice;
}
