// What the viewer shows: one restored photo, as Start's cards and the rows of History give it.

import { resultPath } from './api.js';

/**
 * @typedef {object} ViewerItem
 * @property {string} name            of the photo, as the person knows it
 * @property {string} jobId           of the job that made the result
 * @property {string} resultUrl       where the result lies, as the API tells; `resultPath` of this page does as well
 * @property {File | null} [file]     the original, as long as this tab has it
 * @property {string | null} [originalUrl]  where the server has the original; null: nowhere; left out: beside the result
 * @property {number} [strength]      0.1 to 1.0, with which the result was made; asked for where it is left out
 * @property {string | null} [expiresAt]  ISO 8601, when the files are deleted; reckoned where it is left out
 * @property {string} [downloadName]
 */

const ORIGINAL_SIDE = 2048; // pixels: no more is sent of an original that only lies under the result

const made = new Map(); // job id → ids of it and of all that were made of its photo in this tab

/**
 * An item with all that can be told from what was given. `given` stays the same when the result is replaced, and
 * `jobs` holds the ids of all that were made of this photo here, so that each of them can be deleted.
 */
export function itemOf(given) {
  const path = resultPath(given.resultUrl ?? given.resultPath);
  return {
    file: null,
    expiresAt: null,
    ...given,
    // A getter of a class is not copied by spreading.
    name: given.name,
    downloadName: given.downloadName,
    path,
    jobs: jobsOf(given),
    strength: given.strength ?? given.options?.strength ?? null,
    originalUrl: given.originalUrl === undefined ? besideResult(path) : given.originalUrl,
    given,
  };
}

/** The same photo with another result. */
export const remade = (item, { jobId, resultUrl, strength }) =>
  Object.assign(itemOf({ ...item, jobId, resultUrl, strength, expiresAt: null }), { given: item.given });

function jobsOf({ jobs, jobId }) {
  if (jobs) return jobs;
  if (!made.has(jobId)) made.set(jobId, [jobId]);
  return made.get(jobId);
}

function besideResult(path) {
  const [file] = path.split('?');
  return file.startsWith('/results/') ? `${file}/original?size=${ORIGINAL_SIDE}` : null;
}
