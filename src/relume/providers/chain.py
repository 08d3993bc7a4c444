"""The fallback chain: a provider made of providers, which tries them in order and keeps every cause."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from relume.errors import (
    AllProvidersFailed,
    InternalError,
    JobCancelled,
    LeaseLost,
    ProviderBusy,
    ProviderTimeout,
    ProviderUnavailable,
    RelumeError,
)
from relume.imaging.photo import Photo
from relume.ports import (
    Attempt,
    BreakerNews,
    BreakerNotice,
    NoBreakerNews,
    Provider,
    Result,
    RunContext,
    Spent,
)
from relume.providers.breaker import Breaker
from relume.providers.verify import verify
from relume.tasks import Task
from relume.telemetry import logger

log = logger(__name__)

TITLES = {
    "replicate": "Replicate",
    "huggingface": "Hugging Face",
    "cog": "The Cog server",
    "local": "The local model",
    "builtin": "The built-in restorer",
    "mock": "The mock",
}
"""How a provider is called in a sentence."""

_GRACE_SECONDS = 10.0
"""A provider ends itself at its deadline; one that does not is ended this much later."""
_LONGEST_WAIT_SECONDS = 30.0
"""Whoever asks for a longer pause is passed over: the next provider is quicker."""
_TICK_SECONDS = 0.2

_ENDS_THE_RUN = (JobCancelled, LeaseLost, asyncio.CancelledError)
"""Nothing that a provider did: no other one is to be tried."""
_PROVIDERS_FAULT = (ProviderUnavailable, ProviderBusy, ProviderTimeout)
"""What the breaker counts. A refused request or an unusable result may be the client's doing, and anybody's."""
_FIRST_WAIT_SECONDS = 0.5
_LEAST_SECONDS = 5.0
"""A provider on the far side of a network that would have less time is passed over, unless it has begun already."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long one provider is waited for, and how often it is asked."""

    timeout_seconds: float = 120.0
    attempts: int = 3
    backoff_factor: float = 2.0

    def wait_seconds(self, failed: int, error: RelumeError) -> float | None:
        """The pause before the next attempt after `failed` of them, or None to give up."""
        if not error.can_pass or failed >= self.attempts:
            return None
        asked: float | None = error.extra.get("retry_after_seconds")
        if asked is not None:
            return asked if asked <= _LONGEST_WAIT_SECONDS else None
        growth = min(self.backoff_factor**failed, _LONGEST_WAIT_SECONDS)
        spread: float = random.uniform(0.5, 1.5)  # noqa: S311 (so that many jobs do not come back as one)
        return min(spread * _FIRST_WAIT_SECONDS * growth, _LONGEST_WAIT_SECONDS)


class Breakers:
    """The breakers of a process, by provider and kind of task: a dead Space closes no living model.

    Through `news`, what they find out spares other processes the same.
    """

    def __init__(self, news: BreakerNews | None = None) -> None:
        self.on_open: Callable[[str, str], None] = lambda _provider, _task: None
        """Called with provider and task whenever this process opens one of them."""
        self._all: dict[tuple[str, str], Breaker] = {}
        self._news = news or NoBreakerNews()
        self._news.listen(
            lambda notice: self.of(notice.provider, notice.task).hear(notice.state, notice.age_seconds)
        )

    def of(self, provider: str, task: str) -> Breaker:
        if (provider, task) not in self._all:
            self._all[provider, task] = Breaker(
                tell=lambda state: self._news.tell(BreakerNotice(provider, task, state)),
                on_open=lambda: self.on_open(provider, task),
            )
        return self._all[provider, task]

    def states(self) -> dict[tuple[str, str], str]:
        """The state of each breaker that has been used, by provider and task."""
        return {key: breaker.state for key, breaker in self._all.items()}

    def open_tasks(self, provider: str) -> list[str]:
        """The kinds of task for which a provider rests now, or is on trial."""
        return [
            task
            for (name, task), breaker in self._all.items()
            if name == provider and breaker.state != "closed"
        ]


class Chain:
    """Tries the providers of `order[task.name]` that can do the task, first to last.

    A provider that is unavailable as configured is skipped; one whose breaker is open is passed over. Each
    try is recorded as an attempt. What can pass is tried again after a pause. What comes back is verified
    before it counts. Raises AllProvidersFailed with all causes when none is left.

    Where the context has a deadline, each provider has an equal part of what is left of it, and the last one as
    long as it takes: it is better late than not at all.
    """

    name = "chain"

    def __init__(
        self,
        providers: Iterable[Provider],
        order: dict[str, tuple[str, ...]],
        *,
        patience: Patience = Patience(),
        breakers: Breakers | None = None,
    ) -> None:
        self._providers = {provider.name: provider for provider in providers}
        self._order = order
        self._patience = patience
        self._breakers = breakers or Breakers()

    def candidates(self, task: Task) -> list[Provider]:
        """Those that would be tried for a task, in order."""
        names = self._order.get(task.name, tuple(self._providers))
        present = (self._providers[name] for name in names if name in self._providers)
        return [provider for provider in present if not provider.unavailable() and provider.supports(task)]

    @property
    def is_local(self) -> bool:
        return all(provider.is_local for provider in self._providers.values())

    @property
    def needs_device(self) -> bool:
        return any(provider.needs_device for provider in self._providers.values())

    def supports(self, task: Task) -> bool:
        return bool(self.candidates(task))

    def estimate_usd(self, task: Task) -> float:
        """Of the first that would be tried: what a run costs if all goes well."""
        return next((provider.estimate_usd(task) for provider in self.candidates(task)), 0.0)

    def unavailable(self) -> str | None:
        return None if self._providers else "no provider is configured"

    async def run(self, task: Task, photo: Photo | None, context: RunContext) -> Result:
        causes: list[RelumeError] = []
        candidates = self.candidates(task)
        for behind, provider in zip(reversed(range(len(candidates))), candidates, strict=True):
            try:
                turn_ends = await _turn_ends(provider, behind, context)
                told = _standing_in(context) if causes else context
                result = await self._ask(provider, task, photo, told, turn_ends)
            except _ENDS_THE_RUN:
                raise
            except RelumeError as error:
                causes.append(_named(provider, error))
            else:
                return replace(result, fallback=bool(causes))
        raise AllProvidersFailed(_sentence(causes), causes=causes)

    async def _ask(
        self, provider: Provider, task: Task, photo: Photo | None, context: RunContext, turn_ends: float
    ) -> Result:
        """One provider, as often as patience lasts."""
        breaker = self._breakers.of(provider.name, task.name)
        failure: RelumeError | None = None
        failed = 0
        while breaker.allow():
            try:
                result = await self._attempt(provider, task, photo, context, turn_ends)
            except _ENDS_THE_RUN:
                breaker.release()
                raise
            except RelumeError as error:
                breaker.record(succeeded=not isinstance(error, _PROVIDERS_FAULT))
                failure = error
                failed += 1
                wait_seconds = self._patience.wait_seconds(failed, error)
                if wait_seconds is None or time.monotonic() + wait_seconds + _LEAST_SECONDS > turn_ends:
                    raise
                await _pause(wait_seconds, task, context)
            else:
                breaker.record(succeeded=True)
                return result
        raise failure or ProviderUnavailable("It failed too often lately and is left alone for a moment.")

    async def _attempt(
        self, provider: Provider, task: Task, photo: Photo | None, context: RunContext, turn_ends: float
    ) -> Result:
        started_at, started = datetime.now(UTC), time.perf_counter()
        given: Result | None = None
        failure: RelumeError | None = None
        try:
            given = await self._given(provider, task, photo, context, turn_ends)
            return await self._verified(provider, task, photo, given, context)
        except RelumeError as error:
            failure = error
            raise
        except Exception as error:
            log.exception("provider.fault", provider=provider.name, task=task.name)
            failure = InternalError("It failed in an unexpected way.")
            raise failure from error
        finally:
            if given is not None or failure is not None:  # Else this process stops; the run goes on there.
                seconds = round(time.perf_counter() - started, 3)
                context.on_attempt(_account(provider, task, given, failure, started_at, seconds))

    async def _given(
        self, provider: Provider, task: Task, photo: Photo | None, context: RunContext, turn_ends: float
    ) -> Result:
        """Local work takes the time it takes; everything else has a deadline."""
        if provider.needs_device:
            return await provider.run(task, photo, context)
        now = time.monotonic()
        deadline = min(now + self._patience.timeout_seconds, turn_ends)
        try:
            async with asyncio.timeout(deadline - now + _GRACE_SECONDS):
                return await provider.run(task, photo, replace(context, deadline=deadline))
        except TimeoutError as error:
            raise ProviderTimeout("It took too long.") from error

    async def _verified(
        self, provider: Provider, task: Task, photo: Photo | None, given: Result, context: RunContext
    ) -> Result:
        if provider.needs_device:
            return given
        if given.photo is None:  # Text: nothing that would be worth a change of threads.
            return verify(task, photo, given)
        return await context.in_thread(lambda: verify(task, photo, given))


def _account(
    provider: Provider,
    task: Task,
    given: Result | None,
    failure: RelumeError | None,
    started_at: datetime,
    seconds: float,
) -> Attempt:
    """What is kept of a try. A result that was refused has been paid for all the same, and so have many failures."""
    used: Result | Spent | None = given or (failure.extra.get("spent") if failure else None)
    return Attempt(
        task=task.name,
        provider=provider.name,
        started_at=started_at,
        seconds=seconds,
        model=used.model if used else None,
        version=used.version if used else None,
        external_id=used.external_id if used else None,
        error_class=type(failure).__name__ if failure else None,
        cost_usd=used.cost_usd if used else 0.0,
    )


async def _turn_ends(provider: Provider, behind: int, context: RunContext) -> float:
    """When a provider must be done, on `time.monotonic`'s clock, for the sake of those `behind` it.

    Raises ProviderTimeout when there is no time for it. A run that an earlier process has begun there is paid
    for, and may have ended meanwhile: it is looked at in any case.
    """
    if context.deadline is None or not behind or provider.needs_device:
        return math.inf
    now = time.monotonic()
    seconds = (context.deadline - now) / (behind + 1)
    if seconds < _LEAST_SECONDS:
        if await context.external_ids.recall(context.step, provider.name) is None:
            raise ProviderTimeout("There was no time left to ask it.")
        seconds = _LEAST_SECONDS
    return now + seconds


def _standing_in(context: RunContext) -> RunContext:
    """A context whose attempts say that another provider had failed before."""
    return replace(context, on_attempt=lambda attempt: context.on_attempt(replace(attempt, fallback=True)))


async def _pause(seconds: float, task: Task, context: RunContext) -> None:
    """Wait, and notice a cancel meanwhile. Raises JobCancelled."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        context.progress(0.0, task.name)
        await asyncio.sleep(min(left, _TICK_SECONDS))


def _named(provider: Provider, error: RelumeError) -> RelumeError:
    """The same error, its sentence led by the provider's name: one friendly clause for each one tried."""
    title = TITLES.get(provider.name, provider.name)
    detail = error.detail
    if not detail.startswith(title):
        detail = f"{title}: {detail[:1].lower()}{detail[1:]}"
    named = type(error)(detail, **error.extra)
    named.__cause__ = error
    return named


def _sentence(causes: Sequence[RelumeError]) -> str:
    if not causes:
        return "No configured service can do this."
    return "All services failed: " + " ".join(cause.detail for cause in causes)
