// One job of the list, in the page's words: what it made, what can be done with it.

import { resultName, resultPath } from './api.js';
import { secondsLeft } from './timeleft.js';

const ACTIVE = new Set(['pending', 'processing']);
const ENLARGING = /^(enlarging\/|enhance\/upscale$|mobile\/hd-image$)/;
const CARTOON = /^(cartoon\/|mobile\/cartoonify$)/;
const NAME_WORDS = 6;

export class HistoryJob {
  /** @param item an entry of `GET /api/v1/jobs` */
  constructor(item) {
    Object.assign(this, item);
  }

  get isActive() {
    return ACTIVE.has(this.status);
  }

  /** A key of `history.did`. */
  get did() {
    if (this.kind !== 'photo') return this.kind === 'text' ? 'written' : 'drawn';
    if (CARTOON.test(this.model_name)) return 'cartoon';
    return ENLARGING.test(this.model_name) ? 'enlarged' : 'restored';
  }

  get hasFiles() {
    return this.files === 'kept' && (!this.expires_at || secondsLeft(this.expires_at) > 0);
  }

  get hasResult() {
    return this.status === 'completed' && this.hasFiles && Boolean(this.result_url);
  }

  get canOpen() {
    return this.hasResult && this.kind !== 'text';
  }

  /** A photo for as long as its original is kept, or could never be fetched; a prompt at any time. */
  get canRetry() {
    return this.can_retry && (this.kind !== 'photo' || this.files === 'none' || this.hasFiles);
  }

  get thumbnailPath() {
    return this.thumbnail_url && this.hasFiles ? resultPath(this.thumbnail_url) : null;
  }

  get downloadName() {
    const extension = resultName(this.result_url).split('.').at(-1);
    if (this.kind === 'photo') return `${(this.name ?? 'photo').replace(/\.[^.]+$/, '')}-${this.did}.${extension}`;
    const words = this.prompt.toLowerCase().match(/[\p{L}\p{M}\p{N}]+/gu) ?? [this.kind];
    return `${words.slice(0, NAME_WORDS).join('-')}.${extension}`;
  }

  /** The same job without its files. Its name stays until the list is read anew: the service keeps no names of those. */
  get withoutFiles() {
    return new HistoryJob({ ...this, files: 'expired', result_url: null, thumbnail_url: null });
  }

  /** What the large view is told. A picture from words has no original. */
  get photo() {
    return {
      jobId: this.id,
      name: this.name ?? this.prompt ?? this.id,
      resultPath: resultPath(this.result_url),
      downloadName: this.downloadName,
      expiresAt: this.expires_at ?? null,
      width: this.width ?? 0,
      height: this.height ?? 0,
      ...(this.kind === 'photo' ? {} : { originalUrl: null }),
    };
  }
}
