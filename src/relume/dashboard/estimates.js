// What work would take and cost, asked of the service before anything is sent.

import { number, plural, t } from './i18n.js';

const KEPT_MS = 60_000;
const PATIENCE_MS = 5000;
const MOST_AT_ONCE = 1000; // photos that the service estimates together

export class Estimates {
  #kept = new Map(); // query → {at, answer: promise}

  /** @param models () => what `GET /v1/models` said, for a service that gives no estimates */
  constructor(api, models) {
    Object.assign(this, { api, models });
  }

  /**
   * `{isPaid, usd, totalUsd, seconds, totalSeconds, providers}`; `seconds` null where nobody knows.
   * @param size `{width, height}` of a photo in pixels, where known
   */
  async of({ modelId, upscale, localOnly }, { count = 1, size = null } = {}) {
    const query = new URLSearchParams({
      ...(modelId && { model_id: modelId }),
      upscale,
      count: Math.min(count, MOST_AT_ONCE),
      local_only: localOnly,
      ...(size?.width && { width: size.width, height: size.height }),
    });
    const estimate = await this.#asked(String(query));
    return estimate ?? this.#fromModels({ modelId, localOnly, count });
  }

  #asked(query) {
    const known = this.#kept.get(query);
    if (known && Date.now() - known.at < KEPT_MS) return known.answer;
    const answer = this.#ask(query);
    this.#kept.set(query, { at: Date.now(), answer });
    answer.then((estimate) => estimate ?? this.#kept.delete(query));
    return answer;
  }

  async #ask(query) {
    try {
      const signal = AbortSignal.timeout(PATIENCE_MS);
      const said = await this.api.json(`api/v1/estimate?${query}`, { signal });
      const { is_paid: isPaid, usd, total_usd: totalUsd, seconds, total_seconds: totalSeconds, providers } = said;
      return { isPaid, usd, totalUsd, seconds, totalSeconds, providers: providers ?? [] };
    } catch {
      return null; // Away, or of a version without estimates: the list of models tells the price.
    }
  }

  #fromModels({ modelId, localOnly, count }) {
    const model = this.models().find((one) => (modelId ? one.id === modelId : one.default));
    const usd = localOnly ? 0 : (model?.estimated_cost_usd ?? 0);
    const providers = localOnly ? [] : (model?.providers ?? []);
    return { isPaid: usd > 0, usd, totalUsd: usd * count, seconds: null, totalSeconds: null, providers };
  }
}

/** "about $0.04, 20 s", "free, about 20 s", "free". */
export function inWords({ isPaid, usd, seconds }) {
  const time = seconds === null || seconds === undefined ? null : duration(seconds);
  if (isPaid) return time ? t('estimate.paid', { usd: money(usd), time }) : t('estimate.paidAlone', { usd: money(usd) });
  return time ? t('estimate.free', { time }) : t('estimate.freeAlone');
}

/** Two digits that mean something; what is paid never reads as nothing. */
export const money = (usd) =>
  number(usd, {
    style: 'currency',
    currency: 'USD',
    currencyDisplay: 'narrowSymbol',
    ...(usd < 1 ? { maximumSignificantDigits: 2 } : { maximumFractionDigits: 2 }),
  });

function duration(seconds) {
  if (seconds < 90) return plural('duration.seconds', Math.max(1, Math.round(seconds)));
  if (seconds < 5400) return plural('duration.minutes', Math.round(seconds / 60));
  return plural('duration.hours', Math.round(seconds / 3600));
}
