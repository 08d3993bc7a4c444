// The list of jobs as the service has it: pages, filters, and what can be done with one or several.

import { HistoryJob } from './historyjob.js';
import { uuid } from './photo.js';

export const PAGE = 24;
const LARGEST_PAGE = 100;

const unanswered = new Map(); // job id → key of a try that may have made a job: with the same key it makes no second

/** @param filter {status, kind, search}, each a text; an empty one does not narrow */
export async function jobsOf(api, filter, { offset = 0, limit = PAGE, signal }) {
  const query = new URLSearchParams({ limit: Math.min(limit, LARGEST_PAGE), offset });
  for (const [name, value] of Object.entries(filter)) if (value) query.set(name, value);
  const { jobs, total } = await api.json(`api/v1/jobs?${query}`, { signal });
  return { total, jobs: jobs.map((item) => new HistoryJob(item)) };
}

/** The original, the result and what was made from them; the record of the job stays. */
export const deleteFiles = (api, { id }) => api.json(`api/v1/jobs/${id}/files`, { method: 'DELETE' });

/** Makes a new job that asks for the same; of a batch one for each photo that failed. */
export async function retry(api, { id, batch_id: batchId }) {
  if (batchId) return api.json(`enhance/${batchId}/retry`, { method: 'POST' }); // A second one finds nothing to try.
  const key = unanswered.get(id) ?? uuid();
  unanswered.set(id, key);
  const made = await api.json(`api/v1/jobs/${id}/retry`, { method: 'POST', headers: { 'Idempotency-Key': key } });
  unanswered.delete(id);
  return made;
}
