"""Who may come in, and how often: API key, feature flag, rate limit. Checked before a body is read."""

from __future__ import annotations

import hmac
import math
from contextlib import suppress
from ipaddress import ip_address, ip_network

from fastapi import Request

from relume.errors import KeyMissing, KeyWrong, RateLimited, RestoreDisabled
from relume.http.buckets import Buckets
from relume.jobs.keys import Caller, KeyRing, digest_of
from relume.jobs.service import ADDRESS_PREFIX
from relume.metrics import REFUSALS
from relume.ports import NO_METERS, Meters
from relume.settings import Settings

KEY_HEADER = "X-API-KEY"
_IPV6_CLIENT_BITS = 64


class Gate:
    """One for each process. With Redis all share their buckets, see `Buckets`."""

    def __init__(self, settings: Settings, keys: KeyRing, meters: Meters = NO_METERS) -> None:
        self._keys = keys
        self._meters = meters
        self._counts_quotas = bool(settings.quota_jobs_per_day or settings.quota_usd_per_day)
        self._key = settings.api_key.get_secret_value().encode() if settings.api_key else None
        self._restore_enabled = settings.restore_enabled
        self._per_minute = settings.rate_limit_per_min
        self._buckets = Buckets(settings)

    async def close(self) -> None:
        await self._buckets.close()

    async def require_key(self, request: Request) -> None:
        """A dependency of all endpoints but health, docs and result files. Raises KeyMissing, KeyWrong."""
        request.state.caller = await self._caller(request)

    async def _caller(self, request: Request) -> Caller | None:
        """None where no key is needed: none is set, and none was ever made."""
        given = request.headers.get(KEY_HEADER)
        if self._key is None and not await self._keys.are_used():
            return None
        if given is None:
            self._meters.count(REFUSALS, reason=KeyMissing.code)
            raise KeyMissing(f"This service needs an API key in the {KEY_HEADER} header.")
        if self._key is not None and hmac.compare_digest(given.encode("latin-1"), self._key):
            return Caller(digest_of(given)[:32], is_operator=True)
        if caller := await self._keys.caller(given):
            return caller
        self._meters.count(REFUSALS, reason=KeyWrong.code)
        raise KeyWrong("The API key is not the right one.")

    async def require_operator(self, request: Request) -> None:
        """A dependency of what shows the jobs of all clients, after `require_key`. Raises KeyWrong."""
        if self.sees_only(request) is not None:
            self._meters.count(REFUSALS, reason=KeyWrong.code)
            raise KeyWrong("This needs an operator's API key.")

    async def admit_job(self, request: Request) -> None:
        """A dependency of endpoints that make restoring jobs. Raises RestoreDisabled, RateLimited."""
        if not self._restore_enabled:
            raise RestoreDisabled("Photo restoration is switched off at the moment. Please try again later.")
        await self.limit_rate(request)

    async def limit_rate(self, request: Request) -> None:
        """A dependency of all job-creating endpoints. Raises RateLimited."""
        if self._per_minute == 0:
            return
        seconds = await self._buckets.seconds_to_wait(_client(request) or _address(request))
        if seconds is not None:
            self._meters.count(REFUSALS, reason=RateLimited.code)
            wait = max(math.ceil(seconds), 1)
            raise RateLimited(
                f"Too many photos at once: {self._per_minute} a minute are allowed. "
                f"Please try again in {wait} seconds.",
                retry_after_seconds=wait,
            )

    def client(self, request: Request) -> str | None:
        """Names the API key without telling it. Without keys, the address where quotas are counted, else None."""
        if request.state.caller is None and self._counts_quotas:
            return ADDRESS_PREFIX + digest_of(_network(request))[:32]
        return _client(request)

    def keeps_local(self, request: Request) -> bool:
        """Whether all that this key asks for is to stay on this machine."""
        caller: Caller | None = request.state.caller
        return caller is not None and caller.local_only

    def sees_only(self, request: Request) -> str | None:
        """Whose jobs alone the caller may list; None for all: an operator's key, or a service without keys."""
        caller: Caller | None = request.state.caller
        return None if caller is None or caller.is_operator else caller.client


def _client(request: Request) -> str | None:
    caller: Caller | None = request.state.caller
    return caller.client if caller else None


def _network(request: Request) -> str:
    """The client's address; of IPv6 the network, within which one client has more addresses than it could use."""
    address = _address(request)
    with suppress(ValueError):
        if ip_address(address).version == 6:
            return str(ip_network((address.partition("%")[0], _IPV6_CLIENT_BITS), strict=False))
    return address


def _address(request: Request) -> str:
    return request.client.host if request.client else "unknown"
