// Operations: how the service is, for who runs it. Asked for anew every few seconds while it is seen.

import { loadStyle, loadTemplate } from '../assets.js';
import { StackedColumns } from '../chart.js';
import { hourOf, momentOf, short } from '../figures.js';
import { explain, number, onLanguageChange, t } from '../i18n.js';
import { showFailures, showFigures, showParts, showProviders } from '../operationsboard.js';
import { briefly, whileSeen } from '../patience.js';

const REFRESH_MS = 5000;
const SERIES = ['succeeded', 'cancelled', 'failed'];
const HEALTH_ICONS = { healthy: '#i-check', degraded: '#i-alert', unhealthy: '#i-alert', unknown: '#i-alert' };

export async function mount(root, { api }) {
  await loadStyle('styles/operations.css');
  root.append(await loadTemplate('views/operations.html'));
  const view = new OperationsView(root, api);
  await briefly(view.start());
  return () => view.stop();
}

class OperationsView {
  #overview = null;
  #health = null; // the answer of /health/detailed, null while it is not known
  #heardAt = null;
  #error = null;
  #isAsking = false;
  #ends = [];

  constructor(root, api) {
    this.api = api;
    this.part = (name) => root.querySelector(`[data-part=${name}]`);
    this.chart = new StackedColumns(this.part('hours'), { series: SERIES, format: short });
    this.part('again').addEventListener('click', () => this.#askAgain());
    this.part('other-key').addEventListener('click', () => this.#otherKey());
  }

  start() {
    this.#ends = [onLanguageChange(() => this.#show()), whileSeen(() => this.#refresh(), REFRESH_MS), () => this.chart.stop()];
    this.api.mayAskAgain();
    return this.#refresh();
  }

  stop() {
    for (const end of this.#ends) end();
  }

  #askAgain() {
    this.api.mayAskAgain();
    return this.#refresh();
  }

  /** The next question is asked with the key that is entered, or goes on with the old one. */
  async #otherKey() {
    if (!(await this.api.changeKey())) return;
    this.#health = null;
    this.#askAgain();
  }

  async #refresh() {
    if (this.#isAsking || this.#isRefused) return; // Asking again would get the same answer.
    this.#isAsking = true;
    try {
      this.#health = await this.#askHealth();
      this.#overview = await this.api.json('api/v1/overview', { mayAsk: false });
      this.#heardAt = new Date();
      this.#error = null;
    } catch (error) {
      this.#error = error;
    }
    this.#isAsking = false;
    this.#show();
  }

  /**
   * Any key may ask for this, so it is asked first: a key that then is refused the figures is a good one, but no
   * operator's. An unhealthy service says so with 503, which is an answer and no failure of the question.
   */
  async #askHealth() {
    try {
      return await this.api.json('health/detailed');
    } catch (error) {
      if (error.answer?.checks) return error.answer;
      throw error;
    }
  }

  get #isRefused() {
    return this.#error?.status === 403 && this.#health !== null;
  }

  #show() {
    const isKnown = Boolean(this.#overview) && !this.#isRefused;
    this.part('board').hidden = !isKnown;
    this.part('refused').hidden = !this.#isRefused;
    this.part('failed').hidden = !this.#error || this.#isRefused || isKnown;
    this.part('why').textContent = this.#error ? explain(this.#error) : '';
    this.part('stale').hidden = !(this.#error && isKnown);
    if (!isKnown) return this.#showHealth(null);
    this.part('stale').textContent = this.#error ? t('operations.stale', { time: momentOf(this.#heardAt) }) : '';
    this.#showHealth(this.#health?.status ?? 'unknown');
    this.#showHours();
    showFigures(this.part, this.#overview);
    showProviders(this.part, this.#overview.providers);
    showFailures(this.part, this.#overview.recent_failures);
    showParts(this.part, this.#health);
  }

  #showHealth(status) {
    this.part('health').hidden = !status;
    this.part('version').textContent = '';
    if (!status) return;
    const { version, mode } = this.#overview;
    this.part('health').dataset.status = status;
    this.part('health-icon').setAttribute('href', HEALTH_ICONS[status]);
    this.part('health-word').textContent = t(`operations.health.${status}`);
    this.part('version').textContent = t('operations.version', { version, mode: t(`operations.mode.${mode}`) });
  }

  #showHours() {
    const hours = this.#overview.jobs_by_hour;
    const sums = Object.fromEntries(SERIES.map((key) => [key, hours.reduce((sum, hour) => sum + hour[key], 0)]));
    for (const key of SERIES) this.part(`sum-${key}`).textContent = number(sums[key]);
    const total = (hour) => SERIES.reduce((sum, key) => sum + hour[key], 0);
    const busiest = hours.reduce((best, hour) => (total(hour) > total(best) ? hour : best), hours[0]);
    const isNone = !busiest || total(busiest) === 0;
    this.part('hours-none').hidden = !isNone;
    const summary = isNone
      ? t('operations.hoursNone')
      : t('operations.hoursSummary', { ...inNumbers(sums), hour: hourOf(busiest.hour), most: number(total(busiest)) });
    this.chart.show(hours.map(columnOf), summary);
    this.part('hours-table').replaceChildren(...hours.map(tableRow));
  }
}

const inNumbers = (values) => Object.fromEntries(SERIES.map((key) => [key, number(values[key])]));

function columnOf(hour) {
  const name = hourOf(hour.hour);
  return { name, title: t('operations.hourTitle', { hour: name, ...inNumbers(hour) }), values: hour };
}

function tableRow(hour) {
  const row = document.createElement('tr');
  const head = Object.assign(document.createElement('th'), { scope: 'row', textContent: hourOf(hour.hour) });
  const cells = ['succeeded', 'failed', 'cancelled'].map((key) =>
    Object.assign(document.createElement('td'), { textContent: number(hour[key]) }),
  );
  row.append(head, ...cells);
  return row;
}
