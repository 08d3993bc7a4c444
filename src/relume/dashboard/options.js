// What is to be done with the photos that are added next.

import { has, onLanguageChange, percent, t } from './i18n.js';
import { modelsFor, PURPOSES, usualModel, wordOfModel } from './purposes.js';

const form = document.getElementById('options');
const part = (name) => form.querySelector(`[data-part=${name}]`);
const LOCAL_REMEMBERED_AS = 'relume.localOnly';

const MEANINGS = [
  { upTo: 0.2, word: 'light' },
  { upTo: 0.45, word: 'gentle' },
  { upTo: 0.65, word: 'balanced' },
  { upTo: 0.95, word: 'strong' },
  { upTo: 1, word: 'full' },
];

let models = [];
const chosenIds = {}; // purpose → the id of the model that a person chose

/** What `POST /v1/restore` is to be told. `modelId` null: the service's default. */
export function currentOptions() {
  const purpose = form.elements.purpose.value;
  const model = chosenModel();
  return {
    purpose,
    strength: PURPOSES[purpose].strength ?? Number(form.elements.strength.value),
    upscale: Number(form.elements.upscale.value),
    modelId: model && !model.default ? model.id : null,
    localOnly: form.elements.localOnly.checked,
  };
}

/** @param onChange called after every change of an option */
export function startOptions(onChange) {
  form.elements.localOnly.checked = localStorage.getItem(LOCAL_REMEMBERED_AS) === 'yes';
  form.addEventListener('submit', (event) => event.preventDefault());
  form.addEventListener('input', ({ target }) => {
    if (target.name === 'purpose') takePurpose();
    if (target.name === 'model') chosenIds[currentOptions().purpose] = target.value;
    if (target.name === 'localOnly') localStorage.setItem(LOCAL_REMEMBERED_AS, target.checked ? 'yes' : 'no');
    describe();
    onChange();
  });
  onLanguageChange(() => {
    drawModels();
    describe();
  });
  takePurpose();
  describe();
}

export function offerModels(offered) {
  models = offered;
  for (const choice of form.querySelectorAll('[data-purpose]')) {
    choice.hidden = choice.dataset.purpose !== 'repair' && !modelsFor(choice.dataset.purpose, models).length;
  }
  drawModels();
  describe();
}

/** The model that would be used now, as `GET /v1/models` describes it; null while that is not known. */
export function chosenModel() {
  const purpose = form.elements.purpose.value;
  return models.find(({ id }) => id === chosenIds[purpose]) ?? usualModel(purpose, models);
}

function takePurpose() {
  const { hasStrength, upscale } = PURPOSES[form.elements.purpose.value];
  form.elements.upscale.value = upscale;
  part('strength').hidden = !hasStrength;
  drawModels();
}

function describe() {
  const { purpose, strength, upscale } = currentOptions();
  offerSizes();
  const { word } = MEANINGS.find(({ upTo }) => strength <= upTo);
  part('strength-word').textContent = `${t(`strength.${word}`)}, ${percent(strength)}`;
  part('strength-meaning').textContent = t(`strength.${word}.meaning`);
  form.elements.strength.setAttribute('aria-valuetext', `${percent(strength)}: ${t(`strength.${word}`)}`);
  form.elements.strength.style.setProperty('--filled', (form.elements.strength.value - 0.1) / 0.9);
  part('size-meaning').textContent = t(`size.${upscale}`);
  part('models-label').textContent = t(purpose === 'cartoon' ? 'model.style' : 'model.label');
  part('chosen').textContent = summaryOf(currentOptions());
}

/** What the closed drawer holds, in a line. */
function summaryOf({ purpose, strength, upscale }) {
  const { word } = MEANINGS.find(({ upTo }) => strength <= upTo);
  return [
    ...(PURPOSES[purpose].hasStrength ? [`${t(`strength.${word}`)}, ${percent(strength)}`] : []),
    ...(purpose === 'cartoon' ? [] : [t(`size.${upscale}.short`)]),
    ...(chosenModel() ? [titleOf(chosenModel())] : []),
  ].join(' · ');
}

function offerSizes() {
  const scales = chosenModel()?.upscale ?? [1, 2, 4];
  const radios = [...form.elements.upscale];
  for (const radio of radios) radio.parentElement.hidden = !scales.includes(Number(radio.value));
  if (!scales.includes(Number(form.elements.upscale.value))) form.elements.upscale.value = scales[0];
  part('size').hidden = scales.length < 2;
}

function drawModels() {
  const fitting = modelsFor(form.elements.purpose.value, models);
  const chosen = chosenModel();
  part('models').hidden = fitting.length < 2;
  part('model-list').replaceChildren(...fitting.map((model) => modelChoice(model, model === chosen)));
}

function modelChoice(model, isChosen) {
  const choice = document.getElementById('model-template').content.firstElementChild.cloneNode(true);
  const input = choice.querySelector('input');
  Object.assign(input, { value: model.id, checked: isChosen });
  const title = model.default ? `${titleOf(model)} (${t('model.default')})` : titleOf(model);
  choice.querySelector('[data-part=title]').textContent = title;
  choice.querySelector('[data-part=description]').textContent = aboutModel(model);
  return choice;
}

/** In the reader's language where the page knows the model, else in the service's words. */
export function titleOf({ id, title }) {
  const word = wordOfModel(id);
  return has(`model.${word}.title`) ? t(`model.${word}.title`) : title;
}

function aboutModel({ id, description }) {
  const word = wordOfModel(id);
  return has(`model.${word}.about`) ? t(`model.${word}.about`) : (description ?? '');
}
