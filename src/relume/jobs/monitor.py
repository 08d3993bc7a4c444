"""What surrounds a job while it runs: the lease's heartbeat, its progress, its attempts, its cancellation."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any

from relume.errors import LeaseLost
from relume.jobs import counting
from relume.jobs.cancels import CancelListener
from relume.jobs.external_ids import JobExternalIds
from relume.jobs.models import AttemptRow, Job, JobStatus
from relume.jobs.repository.leases import Leases
from relume.ports import NO_METERS, Attempt, Clock, Events, JobEvent, Meters, RunContext
from relume.telemetry import logger

log = logger(__name__)

_BEATS_PER_LEASE = 3
_PROGRESS_SECONDS = 1.0
"""Progress is written at most this often: a job of thousands of tiles must not be thousands of writes."""


class JobMonitor:
    """An async context manager that gives the run its context.

    Renews the lease three times within its length. Losing it, or a wish to cancel, stops the run at its next
    step or tile. LeaseLost is raised on leaving where it was lost, whatever the block itself made of it. What
    is still to be written then (`attempts`, `reached`) is for the caller to write with the job's end.

    A run that ends within a second costs no task and no write: there are only timers until then.
    """

    def __init__(
        self,
        job: Job,
        leases: Leases,
        events: Events,
        clock: Clock,
        lease: timedelta,
        cancels: CancelListener,
        meters: Meters = NO_METERS,
    ) -> None:
        self._job = job
        self._meters = meters
        self._leases = leases
        self._events = events
        self._clock = clock
        self._lease = lease
        self._cancels = cancels
        self._context = RunContext(
            deadline=_monotonic(job.deadline_at, clock),
            external_ids=JobExternalIds(job, leases, clock),
            on_progress=self._on_progress,
            on_attempt=self._on_attempt,
        )
        self.reached = job.progress
        self._latest: tuple[float, str] | None = None
        self._written: tuple[float, str] | None = None
        self._attempts: list[Attempt] = []
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._writes: set[asyncio.Task[None]] = set()
        self._lost = False
        self._left = False

    @property
    def attempts(self) -> list[AttemptRow]:
        """Those that are not written yet."""
        return [_row(self._job, attempt) for attempt in self._attempts]

    async def __aenter__(self) -> RunContext:
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._lease_until = self._clock.now() + self._lease
        self._beat_later()
        self._cancels.join(self._job.id, self._context.cancelled)
        return self._context

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._left = True
        if error is not None:
            self._context.lost.set()  # Work left in a thread stops at its next step.
        self._cancels.leave(self._job.id, self._context.cancelled)
        for timer in self._timers.values():
            timer.cancel()
        await asyncio.gather(*self._writes, return_exceptions=True)
        if self._lost:
            raise LeaseLost("Another worker has taken over this job.") from error

    async def flush(self) -> None:
        """Write the progress and the attempts now."""
        attempts, latest = self._attempts[:], self._latest
        if not attempts and latest == self._written:
            return
        progress, step = latest or (self.reached, None)
        rows = [_row(self._job, attempt) for attempt in attempts]
        costs = await self._leases.progress(self._job, progress, step, rows)
        self._count(attempts, costs)
        del self._attempts[: len(attempts)]
        self._written = latest

    def count(self, costs: list[float]) -> None:
        """The attempts that were written with the job's end have cost this, each."""
        self._count(self._attempts, costs)

    def _count(self, attempts: list[Attempt], costs: list[float]) -> None:
        for attempt, cost_usd in zip(attempts, costs, strict=True):
            counting.attempted(self._meters, attempt, cost_usd)

    def _on_progress(self, fraction: float, step: str) -> None:
        """May be called from any thread."""
        self.reached = fraction = max(self.reached, min(fraction, 0.99))  # 1.0 is told by success alone.
        self._latest = (fraction, step)
        event = JobEvent(self._job.id, JobStatus.RUNNING, fraction, step)
        if threading.get_ident() == self._thread:
            self._tell(event)
        else:
            self._loop.call_soon_threadsafe(self._tell, event)

    def _tell(self, event: JobEvent) -> None:
        self._events.publish(event)
        self._later("write", _PROGRESS_SECONDS, self._write)

    def _on_attempt(self, attempt: Attempt) -> None:
        self._attempts.append(attempt)

    def _beat_later(self) -> None:
        self._later("beat", self._lease.total_seconds() / _BEATS_PER_LEASE, self._beat)

    def _later(self, name: str, seconds: float, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Begin `work` after a while, unless that is so already or the run has ended by then."""
        if not self._left and name not in self._timers:
            self._timers[name] = self._loop.call_later(seconds, self._begin, name, work)

    def _begin(self, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        del self._timers[name]
        task = self._loop.create_task(work(), name=f"{name} of {self._job.id}")
        self._writes.add(task)
        task.add_done_callback(self._writes.discard)

    async def _beat(self) -> None:
        """A database that is away for a moment is no reason to stop, as long as the lease still runs."""
        renewed_until = self._clock.now() + self._lease
        try:
            beat = await self._leases.renew(self._job, renewed_until)
        except LeaseLost:
            self._lose()
        except Exception as error:  # noqa: BLE001
            log.warning("job.heartbeat_failed", job_id=str(self._job.id), cause=repr(error))
            if self._clock.now() >= self._lease_until:
                self._lose()
        else:
            self._lease_until = renewed_until
            if beat.cancel_requested:
                self._context.cancelled.set()
        if not self._lost:
            self._beat_later()

    def _lose(self) -> None:
        self._lost = True
        self._context.lost.set()

    async def _write(self) -> None:
        try:
            await self.flush()
        except Exception as error:  # noqa: BLE001 (progress is a courtesy; the job is not)
            log.warning("job.progress_not_written", job_id=str(self._job.id), cause=repr(error))
        if self._latest != self._written:
            self._later("write", _PROGRESS_SECONDS, self._write)


def _monotonic(moment: datetime | None, clock: Clock) -> float | None:
    """The same moment on `time.monotonic`'s clock."""
    return None if moment is None else time.monotonic() + (moment - clock.now()).total_seconds()


def _row(job: Job, attempt: Attempt) -> AttemptRow:
    return AttemptRow(
        job_id=job.id,
        run=job.runs,
        task=attempt.task,
        provider=attempt.provider,
        model=attempt.model,
        version=attempt.version,
        external_id=attempt.external_id,
        started_at=attempt.started_at,
        seconds=attempt.seconds,
        error_class=attempt.error_class,
        cost_usd=attempt.cost_usd,
    )
