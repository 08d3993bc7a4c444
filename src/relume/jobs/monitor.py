"""What surrounds a job while it runs: the lease's heartbeat, its progress, its attempts, its cancellation."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from types import TracebackType

from relume.errors import LeaseLost
from relume.jobs import counting
from relume.jobs.external_ids import JobExternalIds
from relume.jobs.models import AttemptRow, Job, JobStatus
from relume.jobs.repository import JobRepository
from relume.ports import NO_METERS, Attempt, Clock, Events, JobEvent, Meters, RunContext
from relume.telemetry import logger

log = logger(__name__)

_BEATS_PER_LEASE = 3
_PROGRESS_SECONDS = 1.0
"""Progress is written at most this often: a job of thousands of tiles must not be thousands of writes."""


class JobMonitor:
    """An async context manager that gives the run its context.

    Renews the lease three times within its length. Losing it, or a wish to cancel, stops the run at its next
    step or tile. On leaving, whatever was still to be written is written; LeaseLost is raised where it was
    lost, whatever the block itself made of it.
    """

    def __init__(
        self,
        job: Job,
        repository: JobRepository,
        events: Events,
        clock: Clock,
        lease: timedelta,
        meters: Meters = NO_METERS,
    ) -> None:
        self._job = job
        self._meters = meters
        self._repository = repository
        self._events = events
        self._clock = clock
        self._lease = lease
        self._context = RunContext(
            external_ids=JobExternalIds(job, repository, clock),
            on_progress=self._on_progress,
            on_attempt=self._on_attempt,
        )
        self._latest: tuple[float, str] | None = None
        self._written: tuple[float, str] | None = None
        self._attempts: list[Attempt] = []
        self._highest = job.progress
        self._lost = False

    async def __aenter__(self) -> RunContext:
        self._loop = asyncio.get_running_loop()
        self._tasks = [
            asyncio.create_task(self._beat()),
            asyncio.create_task(self._write()),
            asyncio.create_task(self._listen()),
        ]
        return self._context

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._context.lost.set()  # Work left in a thread stops at its next step.
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._lost:
            raise LeaseLost("Another worker has taken over this job.") from error
        if not isinstance(error, asyncio.CancelledError):
            await self._flush()

    def _on_progress(self, fraction: float, step: str) -> None:
        """May be called from any thread."""
        self._highest = fraction = max(self._highest, min(fraction, 0.99))  # 1.0 is told by success alone.
        self._latest = (fraction, step)
        event = JobEvent(self._job.id, JobStatus.RUNNING, fraction, step)
        self._loop.call_soon_threadsafe(self._events.publish, event)

    def _on_attempt(self, attempt: Attempt) -> None:
        self._attempts.append(attempt)

    async def _beat(self) -> None:
        """A database that is away for a moment is no reason to stop, as long as the lease still runs."""
        lease_until = self._clock.now() + self._lease
        while not self._lost:
            await asyncio.sleep(self._lease.total_seconds() / _BEATS_PER_LEASE)
            renewed_until = self._clock.now() + self._lease
            try:
                beat = await self._repository.renew(self._job, renewed_until)
            except LeaseLost:
                self._lose()
            except Exception as error:  # noqa: BLE001
                log.warning("job.heartbeat_failed", job_id=str(self._job.id), cause=repr(error))
                if self._clock.now() >= lease_until:
                    self._lose()
            else:
                lease_until = renewed_until
                if beat.cancel_requested:
                    self._context.cancelled.set()

    def _lose(self) -> None:
        self._lost = True
        self._context.lost.set()

    async def _listen(self) -> None:
        """A cancel that was asked for in this process takes hold at once, not at the next heartbeat."""
        async for event in self._events.subscribe(self._job.id):
            if event and event.step == "cancelling":
                self._context.cancelled.set()

    async def _write(self) -> None:
        while True:
            await asyncio.sleep(_PROGRESS_SECONDS)
            try:
                await self._flush()
            except Exception as error:  # noqa: BLE001 (progress is a courtesy; the job is not)
                log.warning("job.progress_not_written", job_id=str(self._job.id), cause=repr(error))

    async def _flush(self) -> None:
        while self._attempts:
            row = _row(self._job, self._attempts[0])
            await self._repository.record_attempt(row)
            counting.attempted(self._meters, self._attempts.pop(0), row.cost_usd)
        if self._latest is not None and self._latest != self._written:
            latest = self._latest
            await self._repository.progress(self._job, *latest)
            self._written = latest


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
