// The public API as this page uses it. Nothing else in the page talks to the service.

const SERVICE = new URL('../', import.meta.url);
const KEY_STORED_AS = 'relume.key';

/** What the API, or the way to it, answered. `code` is stable, `detail` a sentence in English, `answer` the whole. */
export class ApiError extends Error {
  constructor({ status = 0, code = 'unknown', detail = '', retryAfterSeconds = 0, answer = null }) {
    super(detail || code);
    Object.assign(this, { status, code, detail, retryAfterSeconds, answer });
  }

  get wantsKey() {
    return this.status === 401 || this.status === 403;
  }
}

const connectionLost = () => new ApiError({ code: 'connection' });

/** Tells by `reach` events when the service is lost, and when it is found again. */
export class Api extends EventTarget {
  isReachable = true;

  /** @param askForKey async (wasRefused) => the key a person typed, or null if they declined */
  constructor(askForKey) {
    super();
    this.askForKey = askForKey;
    this.declined = false;
  }

  get key() {
    return sessionStorage.getItem(KEY_STORED_AS);
  }

  set key(value) {
    sessionStorage.setItem(KEY_STORED_AS, value);
  }

  /** A person acted again after they had declined to give a key: it may be asked for once more. */
  mayAskAgain() {
    this.declined = false;
  }

  async models() {
    return (await this.json('v1/models')).models;
  }

  job(id) {
    return this.json(`v1/jobs/${id}`);
  }

  cancel(id) {
    return this.json(`v1/jobs/${id}`, { method: 'DELETE' });
  }

  /** Sends one photo. Resolves to `{job_id, status}`. The same idempotency key never makes two jobs. */
  restore(form, { idempotencyKey, signal, onProgress }) {
    return this.#withKey((key) => upload(form, { key, idempotencyKey, signal, onProgress }));
  }

  /** Yields `{event, data}` until the server ends the stream. */
  async *events(id, signal) {
    const response = await this.response(`v1/jobs/${id}/events`, {
      signal,
      headers: { Accept: 'text/event-stream' },
    });
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    yield* serverSentEvents(reader);
  }

  /**
   * What the service answers to `path` (relative to the service, such as `v1/models`).
   * `init` is that of fetch; a `body` that is a plain object is sent as JSON. Throws ApiError.
   */
  async json(path, init) {
    const response = await this.response(path, init);
    if (response.status === 204) return null;
    return response.json().catch(() => {
      throw connectionLost(); // The body was cut off on its way.
    });
  }

  /**
   * The Response itself, for headers, blobs and streams. Throws ApiError unless it is a success.
   * `init.mayAsk` false: a refused key is an answer like any other, and nobody is asked for another one.
   */
  response(path, init = {}) {
    const send = async (key) => {
      const response = await fetch(new URL(path, SERVICE), requestOf(init, key)).catch((error) => {
        throw init.signal?.aborted ? error : connectionLost();
      });
      if (!response.ok) throw problem(response.status, response.headers, await response.text());
      return response;
    };
    return this.#withKey(send, init.mayAsk);
  }

  /** A person wants to go on with another key. Resolves to whether they gave one. */
  async changeKey() {
    const key = await this.askForKey(false);
    if (key !== null) this.key = key;
    return key !== null;
  }

  async #withKey(send, mayAsk = true) {
    for (;;) {
      const key = this.key;
      try {
        const answer = await send(key);
        this.#reached(true);
        return answer;
      } catch (error) {
        if (error.name !== 'AbortError' && error.name !== 'TimeoutError') this.#reached(error.code !== 'connection');
        if (!error.wantsKey || !mayAsk) throw error;
        if (key === this.key) await this.#newKey(error, key);
      }
    }
  }

  #reached(isReachable) {
    if (isReachable === this.isReachable) return;
    this.isReachable = isReachable;
    this.dispatchEvent(new Event('reach'));
  }

  async #newKey(error, refused) {
    if (this.declined) throw error;
    const key = await this.askForKey(Boolean(refused));
    if (key === null) {
      this.declined = true;
      throw error;
    }
    this.key = key;
  }
}

function requestOf(init, key) {
  const isJson = init.body?.constructor === Object;
  const headers = {
    ...(isJson && { 'Content-Type': 'application/json' }),
    ...init.headers,
    ...(key && { 'X-API-KEY': key }),
  };
  return { ...init, headers, ...(isJson && { body: JSON.stringify(init.body) }) };
}

/** XMLHttpRequest, because fetch tells nothing about the progress of an upload. */
function upload(form, { key, idempotencyKey, signal, onProgress }) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open('POST', new URL('v1/restore', SERVICE));
    request.setRequestHeader('Idempotency-Key', idempotencyKey);
    if (key) request.setRequestHeader('X-API-KEY', key);
    request.upload.onprogress = ({ loaded, total }) => onProgress(total ? loaded / total : 0);
    request.onerror = () => reject(connectionLost());
    request.onabort = () => reject(new DOMException('Cancelled', 'AbortError'));
    request.onload = () => {
      const headers = { get: (name) => request.getResponseHeader(name) };
      if (request.status >= 300) reject(problem(request.status, headers, request.responseText));
      else resolve(JSON.parse(request.responseText));
    };
    signal.addEventListener('abort', () => request.abort());
    request.send(form);
  });
}

/** An error answer: `application/problem+json` from Relume, anything at all from a proxy before it. */
function problem(status, headers, body) {
  let said = {};
  try {
    said = JSON.parse(body);
  } catch {
    said = status === 413 ? { code: 'image_too_large' } : {};
  }
  return new ApiError({
    status,
    code: said.code,
    detail: typeof said.detail === 'string' ? said.detail : '',
    retryAfterSeconds: Number(headers.get('Retry-After')) || 0,
    answer: said,
  });
}

async function* serverSentEvents(reader) {
  let buffer = '';
  for (;;) {
    const { value, done } = await reader.read().catch(() => ({ done: true }));
    if (done) return;
    const blocks = (buffer + value).replaceAll('\r\n', '\n').split('\n\n');
    buffer = blocks.pop();
    for (const block of blocks) {
      const event = parseEvent(block);
      if (event) yield event;
    }
  }
}

function parseEvent(block) {
  const field = (name) =>
    block
      .split('\n')
      .filter((line) => line.startsWith(`${name}:`))
      .map((line) => line.slice(name.length + 1).trim())
      .join('\n');
  const data = field('data');
  return data && { event: field('event') || 'message', data: JSON.parse(data) };
}

/**
 * Where the result lies on this origin. The server may name itself by another host
 * (RESULT_BASE_URL, for an emulator say), so only the path counts. And it may lead others to a
 * bucket on another origin (RESULT_DELIVERY), which this page's policy does not allow.
 */
export function resultPath(resultUrl) {
  const { pathname, searchParams } = new URL(resultUrl, location.origin);
  searchParams.set('delivery', 'proxy');
  return `${pathname}?${searchParams}`;
}

/** The name a result goes by: the last part of its address. */
export const resultName = (path) => path.split('?')[0].split('/').at(-1);

/** The photo before, small, which the service keeps as long as the result. */
export const originalPath = (path) => `${path.split('?')[0]}/original?size=640`;

/** The result, as small as a card needs it. */
export const thumbnailPath = (path) => `${path.split('?')[0]}/thumbnail?size=1024`;

export const zipAddress = new URL('results/zip', SERVICE).href;
