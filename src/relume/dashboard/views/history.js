// History: every job, newest first. The filters live in the address, so that a reload keeps them.

import { announce } from '../announce.js';
import { loadStyle, loadTemplate } from '../assets.js';
import { onChange, tellChange } from '../changes.js';
import { HistoryRow } from '../historyrow.js';
import { explain, onLanguageChange, plural, t } from '../i18n.js';
import { deleteFiles, jobsOf, PAGE, retry } from '../joblist.js';
import { briefly, whileSeen } from '../patience.js';
import { downloadAll } from '../zip.js';

const FILTERS = ['search', 'status', 'kind'];
const TYPING_MS = 250;
const TICK_MS = 10_000; // the time left is told in minutes
const FOLLOW_MS = 2500; // while a job of the list is on its way
const ROUTE = '#/history';

export async function mount(root, { api, openViewer }) {
  await loadStyle('styles/history.css');
  root.append(await loadTemplate('views/history.html'));
  const view = new HistoryView(root, api, openViewer);
  await briefly(view.start());
  return () => view.stop();
}

class HistoryView {
  #rows = new Map(); // job id → HistoryRow, in the order of the page
  #total = 0;
  #asking = null; // AbortController of the newest question
  #error = null;
  #timers = [];

  constructor(root, api, openViewer) {
    Object.assign(this, { root, api, openViewer });
    this.part = (name) => root.querySelector(`[data-part=${name}]`);
    this.filters = this.part('filters');
    this.actions = {
      open: (row) => this.#open(row),
      retry: (row) => this.#retry(row),
      delete: (row) => this.#delete(row),
      choose: () => this.#showSelection(),
    };
    this.#listen();
  }

  start() {
    this.#readAddress();
    this.#timers = [
      onLanguageChange(() => this.#relabel()),
      whileSeen(() => this.#tick(), TICK_MS),
      whileSeen(() => this.#follow(), FOLLOW_MS),
      onChange('saved', () => this.#renew()),
      onChange('deleted', ({ jobs }) => this.#deleted(jobs)),
    ];
    return this.#load();
  }

  stop() {
    this.#asking?.abort();
    clearTimeout(this.typing);
    removeEventListener('hashchange', this.onHash);
    for (const stop of this.#timers) stop();
  }

  // ── What is shown ─────────────────────────────────────────────────────────────────────────────

  get #filter() {
    return Object.fromEntries(FILTERS.map((name) => [name, this.filters.elements[name].value.trim()]));
  }

  #readAddress() {
    const params = new URLSearchParams(location.hash.split('?')[1] ?? '');
    for (const name of FILTERS) {
      this.filters.elements[name].value = params.get(name) ?? '';
      if (this.filters.elements[name].selectedIndex === -1) this.filters.elements[name].value = '';
    }
  }

  #writeAddress() {
    const params = new URLSearchParams(Object.entries(this.#filter).filter(([, value]) => value));
    history.replaceState(null, '', params.size ? `${ROUTE}?${params}` : ROUTE);
  }

  #listen() {
    this.filters.addEventListener('submit', (event) => event.preventDefault());
    this.filters.addEventListener('input', ({ target }) => {
      clearTimeout(this.typing);
      this.typing = setTimeout(() => this.#filtered(), target.name === 'search' ? TYPING_MS : 0);
    });
    this.onHash = () => {
      if (!location.hash.startsWith(ROUTE)) return;
      this.#readAddress();
      this.#load();
    };
    addEventListener('hashchange', this.onHash);
    this.part('more').addEventListener('click', () => this.#showMore());
    this.part('again').addEventListener('click', () => this.#load());
    this.part('reset').addEventListener('click', () => {
      this.filters.reset();
      this.#filtered();
      this.filters.elements.search.focus();
    });
    this.part('choose-none').addEventListener('click', () => this.#chooseNone());
    this.part('zip').addEventListener('click', () => this.#zip());
  }

  #filtered() {
    this.#writeAddress();
    return this.#load();
  }

  /** The first page, in place of what is there. */
  async #load() {
    this.api.mayAskAgain();
    const answer = await this.#ask({});
    if (!answer) return;
    this.#total = answer.total;
    this.#rows.clear();
    for (const job of answer.jobs) this.#rows.set(job.id, new HistoryRow(this.part('row-template'), job, this.actions));
    this.part('jobs').replaceChildren(...[...this.#rows.values()].map(({ element }) => element));
    this.#show();
  }

  async #showMore() {
    const answer = await this.#ask({ offset: this.#rows.size });
    if (!answer) return;
    this.#total = answer.total;
    const added = answer.jobs.filter(({ id }) => !this.#rows.has(id));
    const first = this.#append(added);
    this.#show();
    first?.box.focus();
  }

  #append(jobs) {
    const rows = jobs.map((job) => new HistoryRow(this.part('row-template'), job, this.actions));
    for (const row of rows) this.#rows.set(row.job.id, row);
    this.part('jobs').append(...rows.map(({ element }) => element));
    return rows[0];
  }

  /** Null when it failed, which is told, or when another question has overtaken it. */
  async #ask(place) {
    this.#asking?.abort();
    const asking = (this.#asking = new AbortController());
    this.part('jobs').setAttribute('aria-busy', 'true');
    try {
      const answer = await jobsOf(this.api, this.#filter, { ...place, signal: asking.signal });
      this.#error = null;
      return answer;
    } catch (error) {
      if (error.name !== 'AbortError') this.#fail(error);
      return null;
    } finally {
      if (this.#asking === asking) this.#asking = null;
    }
  }

  #fail(error) {
    this.#error = error;
    this.#show();
  }

  #show() {
    const isNarrowed = Object.values(this.#filter).some(Boolean);
    const isEmpty = !this.#rows.size && !this.#error;
    this.part('jobs').setAttribute('aria-busy', 'false');
    this.part('failed').hidden = !this.#error || this.#rows.size > 0;
    this.part('nothing').hidden = !isEmpty || isNarrowed;
    this.part('no-match').hidden = !isEmpty || !isNarrowed;
    this.part('more').hidden = this.#rows.size >= this.#total;
    this.part('count').textContent = this.#error ? '' : plural('history.count', this.#total);
    this.part('why').textContent = this.#error ? explain(this.#error) : '';
    this.#tell(this.#rows.size ? this.#error : null);
    this.#showSelection();
  }

  /** What went wrong with something that was done, above the list that stays. */
  #tell(error) {
    this.part('error').hidden = !error;
    this.part('error').textContent = error ? explain(error) : '';
  }

  #relabel() {
    for (const row of this.#rows.values()) row.render();
    this.#show();
  }

  #tick() {
    for (const row of this.#rows.values()) row.tick();
    this.#showSelection();
  }

  /** While jobs are on their way: what became of them, and what is new. The rows stay where they are. */
  async #follow() {
    const isBusy = [...this.#rows.values()].some(({ job }) => job.isActive);
    if (isBusy && !this.#asking) await this.#renew();
  }

  async #renew() {
    const limit = Math.max(PAGE, this.#rows.size);
    const answer = await jobsOf(this.api, this.#filter, { limit }).catch(() => null); // The next round asks again.
    if (answer && !this.#asking) this.#merge(answer);
  }

  #merge({ jobs, total }) {
    const found = new Set(jobs.map(({ id }) => id));
    const hasLeft = [...this.#rows.values()].some(({ job }) => job.isActive && !found.has(job.id));
    if (hasLeft) return void this.#load(); // It matches the filter no more.
    this.#total = total;
    const fresh = [];
    for (const job of jobs) {
      const row = this.#rows.get(job.id);
      if (row) row.update(job);
      else fresh.push(new HistoryRow(this.part('row-template'), job, this.actions));
    }
    // New jobs are newer than all that are there, unless the list was short of a page.
    const newest = [...this.#rows.values()][0]?.job.created_at ?? '';
    const above = fresh.filter(({ job }) => job.created_at >= newest);
    this.part('jobs').prepend(...above.map(({ element }) => element));
    this.#rows = new Map([...above.map((row) => [row.job.id, row]), ...this.#rows]);
    this.#show();
  }

  // ── What can be done ──────────────────────────────────────────────────────────────────────────

  #open(row) {
    const photos = new Map([...this.#rows.values()].filter(({ job }) => job.canOpen).map(({ job }) => [job.id, job.photo]));
    this.openViewer(photos.get(row.job.id), [...photos.values()]);
  }

  async #retry(row) {
    this.api.mayAskAgain();
    try {
      await retry(this.api, row.job);
      announce(t('history.announceRetry'));
      await this.#renew();
    } catch (error) {
      this.#tell(error);
    }
  }

  async #delete(row) {
    if (!(await this.#isSure(row))) return;
    try {
      const { name } = row;
      await deleteFiles(this.api, row.job);
      tellChange('deleted', { name, jobId: row.job.id, jobs: [row.job.id] });
      announce(t('history.announceDeleted', { name }));
      row.parts.name.focus();
    } catch (error) {
      this.#tell(error);
    }
  }

  #deleted(ids) {
    for (const row of ids.map((id) => this.#rows.get(id))) row?.update(row.job.withoutFiles);
    this.#showSelection();
  }

  #isSure(row) {
    const dialog = this.part('confirm');
    this.part('confirm-text').textContent = t('history.deleteText', { name: row.name });
    dialog.returnValue = '';
    dialog.showModal();
    return new Promise((resolve) => {
      dialog.addEventListener('close', () => resolve(dialog.returnValue === 'delete'), { once: true });
    });
  }

  get #chosen() {
    return [...this.#rows.values()].filter(({ isChosen }) => isChosen);
  }

  #showSelection() {
    const count = this.#chosen.length;
    this.part('selection').hidden = !count;
    this.part('chosen').textContent = plural('history.chosen', count);
  }

  #chooseNone() {
    const [first] = this.#chosen;
    for (const row of this.#chosen) row.box.checked = false;
    this.#showSelection();
    first?.box.focus();
  }

  #zip() {
    this.#tell(null);
    downloadAll(this.#chosen.map(({ job }) => job.photo), (detail) => this.#tell({ detail }));
  }
}
