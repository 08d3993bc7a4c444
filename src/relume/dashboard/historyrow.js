// One row of the history. It is drawn once and then changed in place: hundreds stay smooth.

import { resultPath } from './api.js';
import { money } from './estimates.js';
import { explain, has, language, number, t } from './i18n.js';
import { isSoon, timeLeft } from './timeleft.js';

const KIND_ICONS = { photo: '#i-photo', picture: '#i-generate', text: '#i-copy' };
const PROVIDERS = { builtin: 'Relume', replicate: 'Replicate', huggingface: 'Hugging Face', cog: 'Cog', mock: 'Mock' };

export class HistoryRow {
  #thumbnail = null;

  /** @param actions {open, retry, delete, choose}: each is called with the row */
  constructor(template, job, actions) {
    this.job = job;
    this.element = template.content.firstElementChild.cloneNode(true);
    this.parts = Object.fromEntries([...this.element.querySelectorAll('[data-part]')].map((node) => [node.dataset.part, node]));
    this.buttons = Object.fromEntries([...this.element.querySelectorAll('[data-do]')].map((node) => [node.dataset.do, node]));
    for (const name of ['open', 'retry', 'delete']) {
      this.buttons[name].addEventListener('click', () => actions[name](this));
    }
    this.box.addEventListener('change', () => actions.choose(this));
    this.parts.thumbnail.addEventListener('error', () => (this.parts.thumbnail.hidden = true));
    this.render();
  }

  get box() {
    return this.parts['chosen-box'];
  }

  get isChosen() {
    return this.box.checked && this.job.hasResult;
  }

  update(job) {
    this.job = job;
    this.render();
  }

  render() {
    const { job } = this;
    this.element.dataset.status = job.status;
    this.parts.name.textContent = this.name;
    this.parts.name.title = this.name;
    this.parts.state.textContent = t(`history.status.${job.status}`);
    this.parts.did.textContent = didInWords(job);
    this.parts.cost.textContent = job.cost_usd ? money(job.cost_usd) : '';
    this.#renderError();
    this.#renderWhen();
    this.#renderThumbnail();
    this.#renderActions();
    this.tick();
  }

  /** What changes with time alone. */
  tick() {
    const { job, parts } = this;
    const left = leftInWords(job);
    if (left === parts.left.textContent) return; // Most rows, most of the time: nothing is written.
    parts.left.textContent = left;
    parts.left.classList.toggle('is-soon', job.hasFiles && Boolean(job.expires_at) && isSoon(job.expires_at));
    this.element.classList.toggle('is-gone', job.status === 'completed' && !job.hasFiles);
    this.#renderActions(); // Files that have gone cannot be downloaded any more.
  }

  get name() {
    return this.job.name ?? this.job.prompt ?? t('history.unnamed', { id: this.job.id.slice(0, 8) });
  }

  #renderError() {
    const { status, error_code: code, error: detail } = this.job;
    const hasFailed = status === 'failed';
    this.parts.error.hidden = !hasFailed;
    this.parts.error.textContent = hasFailed ? explain({ code, detail }) : '';
  }

  #renderWhen() {
    const moment = new Date(this.job.created_at);
    const isToday = moment.toDateString() === new Date().toDateString();
    const day = isToday ? {} : { day: 'numeric', month: 'short' };
    this.parts.when.dateTime = this.job.created_at;
    this.parts.when.title = moment.toLocaleString(language());
    this.parts.when.textContent = moment.toLocaleString(language(), { ...day, hour: 'numeric', minute: '2-digit' });
  }

  #renderThumbnail() {
    const { thumbnailPath, kind } = this.job;
    this.parts['kind-icon'].setAttribute('href', KIND_ICONS[kind]);
    if (thumbnailPath === this.#thumbnail) return;
    this.#thumbnail = thumbnailPath;
    this.parts.thumbnail.hidden = !thumbnailPath;
    if (thumbnailPath) this.parts.thumbnail.src = thumbnailPath;
  }

  #renderActions() {
    const { job, buttons, box } = this;
    if (!job.hasFiles) this.parts.thumbnail.hidden = true;
    buttons.open.disabled = !job.canOpen;
    buttons.download.hidden = !job.hasResult;
    buttons.delete.hidden = !job.hasFiles || job.isActive;
    buttons.retry.hidden = !job.canRetry;
    box.disabled = !job.hasResult;
    if (box.disabled) box.checked = false;
    if (job.hasResult) Object.assign(buttons.download, { href: resultPath(job.result_url), download: job.downloadName });
    box.setAttribute('aria-label', t('history.choose', { name: this.name }));
    for (const [action, button] of Object.entries(buttons)) {
      const words = t('card.named', { action: t(`history.${action}`), name: this.name });
      button.setAttribute('aria-label', words);
      button.title = t(`history.${action}`);
    }
  }
}

function leftInWords(job) {
  if (job.files === 'kept' && job.expires_at) return timeLeft(job.expires_at);
  return job.files === 'expired' ? t('history.expired') : '';
}

function didInWords({ did, status, width, height, provider, seconds }) {
  return [
    status === 'completed' ? t(`history.did.${did}`) : t(`history.todo.${did}`),
    ...(width && height ? [`${number(width)} × ${number(height)}`] : []),
    ...(provider ? [has(`history.by.${provider}`) ? t(`history.by.${provider}`) : PROVIDERS[provider] ?? provider] : []),
    ...(seconds >= 0.05 ? [t('history.seconds', { seconds: number(Math.round(seconds * 10) / 10) })] : []),
  ].join(' · ');
}
