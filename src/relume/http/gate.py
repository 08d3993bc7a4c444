"""Who may come in, and how often: API key, feature flag, rate limit. Checked before a body is read."""

from __future__ import annotations

import hashlib
import hmac
import math

from fastapi import Request

from relume.errors import KeyMissing, KeyWrong, RateLimited, RestoreDisabled
from relume.http.buckets import Buckets
from relume.settings import Settings

KEY_HEADER = "X-API-KEY"


class Gate:
    """One for each process. With Redis all share their buckets, see `Buckets`."""

    def __init__(self, settings: Settings) -> None:
        self._key = settings.api_key.get_secret_value().encode() if settings.api_key else None
        self._restore_enabled = settings.restore_enabled
        self._per_minute = settings.rate_limit_per_min
        self._buckets = Buckets(settings)

    async def close(self) -> None:
        await self._buckets.close()

    async def require_key(self, request: Request) -> None:
        """A dependency of all endpoints but health, docs and result files. Raises KeyMissing, KeyWrong."""
        if self._key is None:
            return
        given = request.headers.get(KEY_HEADER)
        if given is None:
            raise KeyMissing(f"This service needs an API key in the {KEY_HEADER} header.")
        if not hmac.compare_digest(given.encode("latin-1"), self._key):
            raise KeyWrong("The API key is not the right one.")

    async def admit_job(self, request: Request) -> None:
        """A dependency of endpoints that make restoring jobs. Raises RestoreDisabled, RateLimited."""
        if not self._restore_enabled:
            raise RestoreDisabled("Photo restoration is switched off at the moment. Please try again later.")
        await self.limit_rate(request)

    async def limit_rate(self, request: Request) -> None:
        """A dependency of all job-creating endpoints. Raises RateLimited."""
        if self._per_minute == 0:
            return
        seconds = await self._buckets.seconds_to_wait(self.client(request) or _address(request))
        if seconds is not None:
            wait = max(math.ceil(seconds), 1)
            raise RateLimited(
                f"Too many photos at once: {self._per_minute} a minute are allowed. "
                f"Please try again in {wait} seconds.",
                retry_after_seconds=wait,
            )

    def client(self, request: Request) -> str | None:
        """Names the API key without telling it; None where keys are not used."""
        if self._key is None:
            return None
        return hashlib.sha256(request.headers[KEY_HEADER].encode("latin-1")).hexdigest()[:32]


def _address(request: Request) -> str:
    return request.client.host if request.client else "unknown"
