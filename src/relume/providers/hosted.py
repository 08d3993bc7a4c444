"""What providers on the far side of HTTP share: bounded answers, bounded waits, one table of failures."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import httpx

from relume.errors import (
    OutputInvalid,
    ProviderBusy,
    ProviderError,
    ProviderNoCredit,
    ProviderRefused,
    ProviderTimeout,
    ProviderUnavailable,
)
from relume.ports import RunContext

T = TypeVar("T")

CONNECT_SECONDS = 10.0
_POLL_SECONDS = 0.1
_NO_CREDIT = 402
_TIMEOUTS = frozenset({408, 504})
_BUSY = 429
_SERVER_FAULTS = 500


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole HTTP answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_success(self) -> bool:
        return httpx.codes.is_success(self.status)


async def ask(
    client: httpx.AsyncClient, method: str, url: str, *, service: str, max_bytes: int, **request: Any
) -> Answer:
    """Send a request and read the answer, whatever its status.

    `service` is what a user knows it as. Raises ProviderUnavailable or ProviderTimeout where no whole answer
    came, OutputInvalid for more than `max_bytes`.
    """
    try:
        async with client.stream(method, url, **request) as response:
            body = bytearray()
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > max_bytes:
                    raise OutputInvalid(f"{service} gave a result that is too large.")
            return Answer(response.status_code, response.headers, bytes(body))
    except httpx.TimeoutException as error:
        raise ProviderTimeout(f"{service} did not answer in time.") from error
    except (httpx.ConnectError, httpx.PoolTimeout) as error:
        raise ProviderUnavailable(f"{service} is not available.") from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        if method == "GET":
            raise ProviderUnavailable(f"{service} is not available.") from error
        raise ProviderError(f"The connection to {service} broke off.") from error  # It may have begun.


def failure(status: int, headers: Mapping[str, str], service: str) -> ProviderError:
    """The error that an HTTP status which is no success stands for."""
    if status == _BUSY:
        wait = retry_after_seconds(headers.get("retry-after", ""))
        told = {} if wait is None else {"retry_after_seconds": wait}
        return ProviderBusy(f"{service} is busy.", **told)
    if status == _NO_CREDIT:
        return ProviderNoCredit(f"{service} has no credit left.")
    if status in _TIMEOUTS:
        return ProviderTimeout(f"{service} did not answer in time.")
    if status >= _SERVER_FAULTS:
        return ProviderUnavailable(f"{service} is not available.")
    return ProviderRefused(f"{service} refused the request.")


def retry_after_seconds(value: str) -> float | None:
    """Retry-After as RFC 9110 has it, in seconds or as a date. None for anything else."""
    if value.strip().isdecimal():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    if moment.tzinfo is None:  # "-0000" is UTC without a word on the local time.
        moment = moment.replace(tzinfo=UTC)
    return max((moment - datetime.now(UTC)).total_seconds(), 0.0)


@dataclass(frozen=True, slots=True)
class Wait:
    """The patience of one run: until its deadline, and no longer than nobody has cancelled it."""

    context: RunContext
    deadline: float
    """On `time.monotonic`'s clock."""
    step: str
    service: str

    @classmethod
    def of(cls, context: RunContext, *, timeout_seconds: float, step: str, service: str) -> Wait:
        """`timeout_seconds` holds where the context has no deadline of its own."""
        given = context.deadline
        return cls(context, time.monotonic() + timeout_seconds if given is None else given, step, service)

    @property
    def remaining_seconds(self) -> float:
        return max(self.deadline - time.monotonic(), 0.0)

    async def until_done(self, work: Awaitable[T], progress: Callable[[], float] = lambda: 0.3) -> T:
        """What `work` gives. It is cancelled when the run is, or when its time is over.

        Raises JobCancelled, ProviderTimeout, and what `work` raises.
        """
        task = asyncio.ensure_future(work)
        try:
            while not task.done():
                self.context.progress(progress(), self.step)
                if not self.remaining_seconds:
                    raise ProviderTimeout(f"{self.service} did not finish in time.")
                await asyncio.wait({task}, timeout=min(_POLL_SECONDS, self.remaining_seconds))
            return task.result()
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait({task})
