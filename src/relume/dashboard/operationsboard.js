// The parts of the operations' board, each filled from what the service says.

import { bar } from './chart.js';
import { money } from './estimates.js';
import { bytes, momentOf, span, tenths } from './figures.js';
import { has, language, number, plural, t } from './i18n.js';

const NAMES = { builtin: 'Relume', replicate: 'Replicate', huggingface: 'Hugging Face', cog: 'Cog', local: 'Local', mock: 'Mock' };

export function showFigures(part, { queue, cost_usd_today: cost, quota, disk }) {
  part('queued').textContent = number(queue.queued);
  part('oldest').textContent = queue.oldest_queued_seconds === null || !queue.queued
    ? t('operations.noneWaits')
    : t('operations.oldest', { time: span(queue.oldest_queued_seconds) });
  part('running').textContent = number(queue.running);
  part('workers').textContent = plural('operations.workers', queue.workers);
  part('cost').textContent = money(cost);
  part('quota').textContent = quotaInWords(quota);
  showDisk(part, disk);
}

function showDisk(part, disk) {
  const { free_bytes: free, total_bytes: total, used_by_relume_bytes: used, is_low: isLow } = disk;
  part('disk').closest('.figure').classList.toggle('is-low', isLow);
  part('disk').textContent = total === null ? '–' : bytes(free);
  if (total === null) return part('disk-used').replaceChildren(t('operations.diskElsewhere'));
  const inWords = used === null
    ? t('operations.diskTotal', { total: bytes(total) })
    : t('operations.diskUsed', { used: bytes(used), total: bytes(total) });
  const words = isLow ? `${t('operations.diskLow')}. ${inWords}` : inWords;
  part('disk-used').replaceChildren(bar(1 - free / total), words);
}

function quotaInWords(quota) {
  const { jobs_per_day: jobs, usd_per_day: dollars } = quota;
  const limits = [...(dollars ? [money(dollars)] : []), ...(jobs ? [plural('operations.jobs', jobs)] : [])];
  return limits.length ? t('operations.quota', { limits: limits.join(', ') }) : t('operations.noQuota');
}

/** Those that did something today first, then those that could. */
export function showProviders(part, providers) {
  const weight = (one) => (one.succeeded_today + one.failed_today > 0 ? 2 : 0) + (one.usable ? 1 : 0);
  const sorted = [...providers].sort((one, other) => weight(other) - weight(one));
  fill(part('providers'), part('provider-template'), sorted, drawProvider);
}

function drawProvider(place, provider, element) {
  const { succeeded_today: succeeded, failed_today: failed, cost_usd_today: cost, median_seconds: median } = provider;
  const isResting = provider.usable && provider.resting_for.length > 0;
  const state = isResting ? 'resting' : provider.usable ? 'usable' : 'notUsable';
  element.dataset.state = state;
  place('name').textContent = NAMES[provider.name] ?? provider.name;
  place('state').textContent = t(`operations.${state}`);
  const total = succeeded + failed;
  place('rate').textContent = total
    ? t('operations.rate', { succeeded: number(succeeded), failed: number(failed) })
    : t('operations.notToday');
  place('bar').replaceChildren(...(total ? [bar(succeeded / total)] : []));
  place('spent').textContent = [
    ...(total ? [money(cost)] : []),
    ...(median === null || median === undefined ? [] : [t('operations.median', { seconds: tenths(median) })]),
  ].join(' · ');
  const tasks = provider.resting_for.map(taskName).join(', ');
  place('why').textContent = isResting ? t('operations.restingFor', { tasks }) : (provider.reason ?? '');
}

const taskName = (task) => (has(`step.${task}`) ? t(`step.${task}`) : task.replaceAll('_', ' ')).toLocaleLowerCase(language());

export function showFailures(part, failures) {
  part('no-failures').hidden = failures.length > 0;
  fill(part('failures'), part('failure-template'), failures, (place, failure) => {
    place('name').textContent = failure.name ?? failure.job_id.slice(0, 8);
    place('name').title = failure.job_id;
    place('when').textContent = momentOf(failure.ended_at);
    place('when').dateTime = failure.ended_at;
    place('error').textContent = failure.error ?? failure.code;
    place('by').textContent = [failure.model, failure.code].filter(Boolean).join(' · ');
  });
}

export function showParts(part, health) {
  const parts = Object.entries(health?.checks ?? {}).map(([name, check]) => ({ ...check, name: t(`operations.part.${name}`) }));
  const workers = Object.entries(health?.workers ?? {}).map(([lane, check]) => ({ ...check, name: t('operations.part.worker', { lane }) }));
  fill(part('parts'), part('part-template'), [...parts, ...workers], (place, check, element) => {
    element.dataset.state = check.status;
    place('name').textContent = check.name;
    place('state').textContent = t(`operations.status.${check.status}`);
    const latency = check.latency_ms === null ? [] : [t('operations.latency', { ms: tenths(check.latency_ms) })];
    place('detail').textContent = [...latency, ...(check.detail ? [check.detail] : [])].join(' · ');
  });
}

/** One element for each item, those that are there used again, so that nothing flickers or loses its place. */
function fill(list, template, items, draw) {
  while (list.children.length > items.length) list.lastElementChild.remove();
  items.forEach((item, index) => {
    const element = list.children[index] ?? list.appendChild(template.content.firstElementChild.cloneNode(true));
    draw((name) => element.querySelector(`[data-part=${name}]`), item, element);
  });
}
