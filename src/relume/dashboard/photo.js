// One photo on its way: what is known of it, and its state.
//
//   (ready →) waiting → uploading → queued → running → done
//                └──────────┴──────────┴────────┴────→ failed | cancelled
//
// `ready` waits for a person to start it, because it costs money. `limited` and `reconnecting` are pauses on the way; `refused` is a doubt of this page, before
// anything was sent: the server decides if the person insists.

import { originalPath } from './api.js';

const IMAGE_NAME = /\.(jpe?g|png|webp|hei[cf])$/i;
const USUAL_LIMIT_BYTES = 15_000_000;

const SUFFIXES = { repair: 'restored', enlarge: 'enlarged', cartoon: 'cartoon' };

const ACTIVE = new Set(['waiting', 'limited', 'uploading', 'reconnecting', 'queued', 'running', 'cancelling']);
const NOT_YET_SENT = new Set(['ready', 'waiting', 'limited', 'uploading', 'reconnecting']);

export class Photo extends EventTarget {
  state = 'waiting';
  progress = 0;
  step = null;
  queuePosition = null; // 1 is next; null while unknown
  steps = null; // the names of those that changed the photo, in order; null while unknown
  error = null;
  jobId = null;
  jobs = null; // ids of all that were made of it, once there are several
  resultPath = null;
  previewUrl = null; // a small picture of the original for the card
  width = 0; // of the original, upright; 0 while unknown
  height = 0;
  idempotencyKey = uuid();

  constructor({ name, options, file = null, ...known }) {
    super();
    Object.assign(this, { name, options, file }, known);
  }

  update(change) {
    Object.assign(this, change);
    this.dispatchEvent(new Event('change'));
  }

  /** What the server says of the job. Progress never goes back, whatever order answers come in. */
  follow(said, pathOf) {
    const { status, progress = 0, step = null, result_url: resultUrl = null, error = null, error_code: code } = said;
    const change = { step: step ?? this.step, progress: Math.max(this.progress, progress) };
    if ('queue_position' in said) change.queuePosition = said.queue_position;
    if (said.steps) change.steps = said.steps.filter(({ changed }) => changed).map(({ name }) => name);
    if (status === 'succeeded') {
      Object.assign(change, { state: 'done', progress: 1, resultPath: pathOf(resultUrl) });
    } else if (status === 'failed') {
      const cancelled = this.state === 'cancelling';
      Object.assign(change, {
        state: cancelled ? 'cancelled' : 'failed',
        error: cancelled ? null : { code: code ?? 'job_failed', detail: error },
      });
    } else if (this.state !== 'cancelling') {
      change.state = status;
    }
    this.update(change);
  }

  /** From the start again: another key, because the old one would give the old job. */
  restart() {
    this.update({
      state: 'waiting', progress: 0, step: null, steps: null, queuePosition: null,
      error: null, jobId: null, jobs: null, resultPath: null, idempotencyKey: uuid(),
    });
  }

  get isActive() {
    return ACTIVE.has(this.state);
  }

  get isUnsent() {
    return !this.jobId && NOT_YET_SENT.has(this.state);
  }

  get isInTrouble() {
    return this.state === 'failed' || this.state === 'refused';
  }

  /** The photo before: the file that was chosen, or what the service keeps of it beside the result. */
  get beforePath() {
    return this.previewUrl ?? (this.resultPath && originalPath(this.resultPath));
  }

  /** `wedding.heic` becomes `wedding-restored.jpg`, with the extension that the result has. */
  get downloadName() {
    const stem = this.name.replace(/\.[^.]+$/, '') || 'photo';
    const ofResult = /\.(jpe?g|png)$/i.exec(this.resultPath?.split('?')[0] ?? '')?.[1];
    const extension = ofResult ?? (/\.(png|webp)$/i.test(this.name) ? 'png' : 'jpg');
    return `${stem}-${SUFFIXES[this.options.purpose] ?? SUFFIXES.repair}.${extension.toLowerCase().replace('jpeg', 'jpg')}`;
  }
}

/** Whether a file of a folder is worth showing: folders hold much else. */
export const isPhotoName = (name) => IMAGE_NAME.test(name) && !name.startsWith('.');

/** A doubt about a file that needs no server to be told: `{code, values}`, or null. */
export function doubt(file) {
  if (file.size === 0) return { code: 'empty_file' };
  if (!file.type.startsWith('image/') && !IMAGE_NAME.test(file.name)) return { code: 'not_image' };
  if (file.size > USUAL_LIMIT_BYTES) {
    return { code: 'too_large_here', megabytes: file.size / 1_000_000 };
  }
  return null;
}

/** `crypto.randomUUID` exists on HTTPS and localhost only; a home server is often plain HTTP. */
export function uuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}
