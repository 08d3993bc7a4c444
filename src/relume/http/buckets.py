"""The token buckets of the rate limit: in Redis where there is one, so that all API processes share them."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

from throttled.asyncio import (
    BaseStore,
    MemoryStore,
    RateLimiterType,
    RateLimitResult,
    RedisStore,
    Throttled,
    per_min,
)
from throttled.exceptions import StoreUnavailableError

from relume.settings import Settings
from relume.telemetry import logger

log = logger(__name__)

_REMEMBERED_CLIENTS = 100_000
_ANSWER_SECONDS = 1.0
_REST_SECONDS = 5.0
"""After a failure, Redis is asked again only so much later: no request waits for it meanwhile."""


class Buckets:
    """One bucket a client. While Redis is away, those in this process's memory count."""

    def __init__(self, settings: Settings) -> None:
        self._per_minute = max(settings.rate_limit_per_min, 1)
        self._prefix = f"{settings.queue_prefix}:limit"
        self._own = self._throttled(MemoryStore(options={"MAX_SIZE": _REMEMBERED_CLIENTS}))
        self._store = _redis_store(settings.redis_url) if settings.redis_url else None
        self._shared = self._throttled(self._store) if self._store else None
        self._away_until = 0.0
        self._is_away = False

    async def seconds_to_wait(self, client: str) -> float | None:
        """Take a token of a client's. None if there was one, else the time until there is."""
        verdict = None
        if self._shared is not None and time.monotonic() >= self._away_until:
            verdict = await self._ask_redis(self._shared, client)
        if verdict is None:
            verdict = await self._own.limit(client)
        return verdict.state.retry_after if verdict.limited else None

    async def close(self) -> None:
        if self._store is not None:
            with suppress(OSError, TimeoutError):
                await self._store._backend.get_client().connection_pool.disconnect()  # type: ignore[attr-defined]

    async def _ask_redis(self, shared: Throttled, client: str) -> RateLimitResult | None:
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                verdict = await shared.limit(client)
        except (StoreUnavailableError, OSError, TimeoutError) as error:
            self._away_until = time.monotonic() + _REST_SECONDS
            if not self._is_away:
                self._is_away = True
                log.warning("rate_limit.redis_away", cause=type(error.__cause__ or error).__name__)
            return None
        if self._is_away:
            self._is_away = False
            log.info("rate_limit.redis_back")
        return verdict

    def _throttled(self, store: BaseStore) -> Throttled:
        return Throttled(
            using=RateLimiterType.TOKEN_BUCKET.value,
            quota=per_min(self._per_minute, burst=self._per_minute),
            store=store,
            key_prefix=self._prefix,
        )


def _redis_store(url: str) -> RedisStore:
    """Nothing is connected yet."""
    return RedisStore(server=url, options={"SOCKET_CONNECT_TIMEOUT": _ANSWER_SECONDS})
