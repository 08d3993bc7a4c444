// The list of jobs as the service has it: pages, filters, and what can be done with one or several.

import { HistoryJob } from './historyjob.js';

export const PAGE = 24;
const LARGEST_PAGE = 100;

const ASKED = ['width', 'height', 'seed', 'negative_prompt', 'num_inference_steps', 'guidance_scale', 'scheduler', 'go_fast', 'output_format'];

/** @param filter {status, kind, search}, each a text; an empty one does not narrow */
export async function jobsOf(api, filter, { offset = 0, limit = PAGE, signal }) {
  const query = new URLSearchParams({ limit: Math.min(limit, LARGEST_PAGE), offset });
  for (const [name, value] of Object.entries(filter)) if (value) query.set(name, value);
  const { jobs, total } = await api.json(`api/v1/jobs?${query}`, { signal });
  return { total, jobs: jobs.map((item) => new HistoryJob(item)) };
}

/** The original, the result and what was made from them; the record of the job stays. */
export const deleteFiles = (api, { id }) => api.json(`api/v1/jobs/${id}/files`, { method: 'DELETE' });

/** Makes new jobs: of a batch for all its failed photos, of a prompt for one more picture. */
export async function retry(api, job) {
  if (!job.isGeneration) return api.json(`enhance/${job.batch_id}/retry`, { method: 'POST' });
  const told = await api.json(`api/v1/jobs/${job.id}/metadata`);
  const parameters = Object.fromEntries(ASKED.filter((name) => told[name] !== undefined).map((name) => [name, told[name]]));
  const body = { prompt: job.prompt, model_name: job.model_name, parameters };
  return api.json('api/v1/generate', { method: 'POST', body });
}
