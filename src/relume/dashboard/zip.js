// All results in one ZIP: a form, so that the browser streams it to the disk and the page holds none of it.

import { announce } from './announce.js';
import { resultName, zipAddress } from './api.js';
import { t } from './i18n.js';

const form = document.getElementById('zip');
const frame = document.querySelector('iframe[name=zip-answer]');

/** A ZIP is a download and leaves the frame as it is; only an error is shown in it. */
export function downloadAll(photos, onError) {
  form.action = zipAddress;
  form.replaceChildren(...photos.map(({ resultPath }) => field(resultName(resultPath))));
  frame.onload = () => onError(t('error.zip'));
  form.submit();
  announce(t('announce.zip'));
}

const field = (value) => Object.assign(document.createElement('input'), { type: 'hidden', name: 'name', value });
