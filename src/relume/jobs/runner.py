"""Runs one job by its id: claims it, works, publishes, and finishes exactly once.

The order of finishing is what makes a killed process harmless:

1. the result is stored under a temporary key, named after the lease, that no other run uses;
2. one transaction, open only to the owner of the lease, says `succeeded` and names that key;
3. the file is moved to its final place. Dying before 2 leaves a job that is claimed again and a stray file;
   dying before 3 leaves a job whose result is served from where it lies until the janitor moves it.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.exc import DBAPIError

from relume.errors import (
    AllProvidersFailed,
    Conflict,
    InternalError,
    JobCancelled,
    JobInterrupted,
    LeaseLost,
    NotFound,
    RelumeError,
)
from relume.imaging.limits import Limits
from relume.imaging.photo import ImageFormat
from relume.jobs import counting, webhook_message
from relume.jobs.cache import ResultCache, at_no_cost
from relume.jobs.cancels import CancelListener
from relume.jobs.files import (
    MEDIA,
    is_media,
    result_key,
    staging_key,
    unmixed_key,
    unmixed_staging_key,
    upload_key,
)
from relume.jobs.metadata import keep_metadata
from relume.jobs.models import Job, JobStatus
from relume.jobs.monitor import JobMonitor
from relume.jobs.rendering import UNCHANGED, as_it_is, owner_of, unmixed_of
from relume.jobs.repository.jobs import JobRepository
from relume.jobs.service import CANCELLED_DETAIL
from relume.pipeline import Pipeline, Restored, Written
from relume.ports import NO_METERS, Clock, Events, Fetcher, JobEvent, Meters, RunContext, Store
from relume.recipes import Recipe, build
from relume.telemetry import logger

log = logger(__name__)

MAX_RUNS = 10
"""A job whose process died this often is taken for the cause of it (out of memory, a codec's crash)."""


_PUT_BACK = timedelta(seconds=2)
"""After a fault of the database or the disk, a job rests this long, times its runs."""


@dataclass(frozen=True, slots=True)
class _Done:
    """What a run made, and the account of how."""

    made: Restored | Written
    report: list[dict[str, Any]]
    cache_key: str | None = None
    cached: bool = False


class Runner:
    """Stateless between jobs; one serves any number of them at once."""

    def __init__(
        self,
        *,
        repository: JobRepository,
        store: Store,
        events: Events,
        pipeline: Pipeline,
        fetcher: Fetcher,
        clock: Clock,
        limits: Limits,
        lease: timedelta,
        keep_files: timedelta | None,
        keep_media: timedelta | None = None,
        cache: ResultCache | None = None,
        meters: Meters = NO_METERS,
    ) -> None:
        """How long files are kept after a job's end, and contract E's media; None is for ever."""
        self._repository = repository
        self._meters = meters
        self._store = store
        self._cache = cache
        self._events = events
        self._cancels = CancelListener(events)
        self._pipeline = pipeline
        self._fetcher = fetcher
        self._clock = clock
        self._limits = limits
        self._lease = lease
        self._keep_files = keep_files
        self._keep_media = keep_media

    async def run(self, job_id: UUID) -> None:
        """Run a job if it is free to be claimed; otherwise do nothing."""
        now = self._clock.now()
        job = await self._repository.leases.claim(job_id, now, self._lease)
        if job is None:
            return
        counting.claimed(self._meters, job, now)
        log.info("restore.started", job_id=str(job.id), run=job.runs)
        try:
            await self._run_claimed(job)
        except LeaseLost:
            log.warning("job.lease_lost", job_id=str(job.id), run=job.runs)
        except asyncio.CancelledError:
            with suppress(Exception):
                now = self._clock.now()
                await asyncio.shield(self._repository.leases.release(job, now, count_run=False))
            raise
        except (DBAPIError, OSError) as error:
            log.warning("job.put_back", job_id=str(job.id), run=job.runs, cause=repr(error))
            again = self._clock.now() + job.runs * _PUT_BACK
            with suppress(DBAPIError, OSError):  # Then the lease runs out by itself.
                await self._repository.leases.release(job, again, count_run=True)

    async def _run_claimed(self, job: Job) -> None:
        """Ends the job, whatever happens in it; only faults of the database or the disk leave it unfinished."""
        run = self._monitor(job)
        try:
            async with run as context:
                done = await self._work(job, context)
                staged = await self._stage(job, done.made)
            await self._succeed(job, run, done, staged)
        except JobCancelled:
            await self._end(
                job, run, status=JobStatus.CANCELLED, code=JobCancelled.code, detail=CANCELLED_DETAIL
            )
        except LeaseLost:
            raise
        except (DBAPIError, OSError):
            with suppress(DBAPIError, OSError):
                await run.flush()
            raise
        except RelumeError as error:
            await self._fail(job, run, error)
        except Exception as error:
            log.exception("job.fault", job_id=str(job.id))
            await self._fail(job, run, InternalError(), cause=error)

    def _monitor(self, job: Job) -> JobMonitor:
        return JobMonitor(
            job, self._repository.leases, self._events, self._clock, self._lease, self._cancels, self._meters
        )

    async def _work(self, job: Job, context: RunContext) -> _Done:
        if job.cancel_requested:
            raise JobCancelled(CANCELLED_DETAIL)
        if job.runs > MAX_RUNS:
            raise JobInterrupted("This photo could not be processed: the service was interrupted each time.")
        recipe = recipe_of(job)
        if not recipe.needs_photo:
            return _done(await self._pipeline.generate(recipe, context))
        if job.render_of is not None:
            return await self._render(job, recipe, context)
        data = await self._input(job, context)
        key = self._cache.key(job, recipe, data) if self._cache else None
        if self._cache and key and (cached := await self._cache.find(key)):
            return _Done(cached.restored, cached.report, key, cached=True)
        return _done(await self._pipeline.run(data, recipe, self._accepted, context), key)

    @property
    def _accepted(self) -> Limits:
        """A photo's format was checked when it came."""
        return replace(self._limits, formats=frozenset(ImageFormat))

    async def _render(self, job: Job, recipe: Recipe, context: RunContext) -> _Done:
        """No provider has a part in it. Raises Expired."""
        owner = await owner_of(job, self._repository)
        unmixed, outcome = await unmixed_of(owner, self._store), str(owner.outcome)
        report = at_no_cost(owner.report)
        if outcome == UNCHANGED:
            return _Done(as_it_is(owner, unmixed), report)
        data = await self._input(job, context)
        return _Done(
            await self._pipeline.remix(data, unmixed, recipe, outcome, self._accepted, context), report
        )

    async def _input(self, job: Job, context: RunContext) -> bytes:
        """The original's bytes: from our store, or from the client's URL the first time."""
        if job.input_key is not None:
            try:
                return await self._store.get(job.input_key)
            except NotFound as error:
                raise InternalError("The uploaded photo is no longer there.") from error
        assert job.source_url is not None  # noqa: S101 (a job has one or the other)
        context.progress(0.0, "fetch")
        data = await self._fetcher.fetch(job.source_url, self._limits.max_bytes)
        info = await self._pipeline.check(data, self._limits)
        key = upload_key(job.id, info.format, job.lease_token)
        await self._store.put(key, data)
        job.input_key = key
        await self._repository.leases.set_input(
            job,
            input_key=key,
            input_format=info.format,
            input_width=info.width,
            input_height=info.height,
            input_bytes=len(data),
        )
        return data

    async def _stage(self, job: Job, restored: Restored | Written) -> str:
        """The key of the result's file in its temporary place; empty for text, which is kept in the row."""
        if isinstance(restored, Written):
            return ""
        staged = staging_key(job, restored.format)
        if restored.unmixed is not None:
            await self._store.put(unmixed_staging_key(staged), restored.unmixed)
        await self._store.put(staged, restored.data)
        return staged

    async def _succeed(self, job: Job, run: JobMonitor, done: _Done, staged: str) -> None:
        restored = done.made
        told: dict[str, Any] = {"progress": 1.0, "outcome": restored.outcome, "report": done.report}
        if isinstance(restored, Written):
            await self._end(job, run, status=JobStatus.SUCCEEDED, result_text=restored.text, **told)
            return
        final = result_key(job, restored.format)
        unmixed = unmixed_key(job.id) if restored.unmixed is not None else None
        await self._end(
            job,
            run,
            status=JobStatus.SUCCEEDED,
            cached=done.cached,
            staged_key=staged,
            result_key=final,
            unmixed_key=unmixed,
            result_format=restored.format,
            result_width=restored.width,
            result_height=restored.height,
            result_bytes=len(restored.data),
            cache_key=done.cache_key,
            fidelity=round(restored.fidelity, 4) if restored.fidelity is not None else None,
            **told,
        )
        await promote(job.id, staged, final, self._store, self._repository, unmixed=unmixed)

    async def _fail(
        self, job: Job, run: JobMonitor, error: RelumeError, cause: Exception | None = None
    ) -> None:
        await self._end(
            job, run, status=JobStatus.FAILED, code=error.code, detail=error.detail, error=cause or error
        )

    async def _end(
        self,
        job: Job,
        run: JobMonitor,
        *,
        status: JobStatus,
        code: str | None = None,
        detail: str | None = None,
        error: Exception | None = None,
        cached: bool = False,
        **values: Any,
    ) -> None:
        now = self._clock.now()
        keep = self._keep_media if is_media(job) else self._keep_files
        ended = {
            "status": status,
            "finished_at": now,
            "files_expire_at": now + keep if keep else None,
            "error_code": code,
            "error_detail": detail,
            "progress": run.reached,
        } | values
        message = webhook_message.for_end(job, ended, now)
        costs = await self._repository.leases.finish(job, message, attempts=run.attempts, **ended)
        run.count(costs)
        counting.ended(self._meters, job, ended, cached=cached)
        progress = 1.0 if status is JobStatus.SUCCEEDED else run.reached
        self._events.publish(JobEvent(job.id, status, progress))
        duration_ms = round((now - (job.started_at or now)).total_seconds() * 1000)
        if status is JobStatus.SUCCEEDED:
            log.info("restore.succeeded", job_id=str(job.id), duration_ms=duration_ms)
        elif status is JobStatus.CANCELLED:
            log.info("restore.cancelled", job_id=str(job.id))
        else:
            log.warning(
                "restore.failed", job_id=str(job.id), error_class=type(error).__name__, cause=_causes(error)
            )


def recipe_of(job: Job) -> Recipe:
    """What a job is to do, from its row."""
    return build(
        job.model_id,
        strength=job.strength,
        scale=job.scale,
        parameters=job.parameters,
        local_only=job.local_only,
    )


def _done(made: Restored | Written, cache_key: str | None = None) -> _Done:
    return _Done(made, [asdict(report) for report in made.reports], cache_key)


async def promote(
    job_id: UUID,
    staged: str,
    final: str,
    store: Store,
    repository: JobRepository,
    *,
    unmixed: str | None = None,
) -> None:
    """Move a finished result to its final place, and write down how media were made. Repeating it does no harm.

    `unmixed` is the final place of the restoration without the original, where it is kept; that it is missing
    costs the result nothing. Raises NotFound when the result is nowhere.
    """
    if unmixed is not None:
        with suppress(NotFound):
            await _move(unmixed_staging_key(staged), unmixed, store)
    await _move(staged, final, store)
    if final.startswith(f"{MEDIA}/"):
        await keep_metadata(job_id, store, repository)
    await repository.files.mark_promoted(job_id)


async def _move(staged: str, final: str, store: Store) -> None:
    """A file system without an atomic "rename unless it exists" links and then unlinks: a process that dies in
    between leaves both names, and the final one is complete. Raises NotFound when the file is nowhere.
    """
    try:
        await store.move(staged, final)
    except NotFound:
        await store.size(final)
    except Conflict:
        await store.delete([staged])


def _causes(error: Exception | None) -> list[str]:
    """Everything behind a failure, for the log alone."""
    if error is None:
        return []
    behind = error.causes if isinstance(error, AllProvidersFailed) else [error.__cause__]
    found = [f"{type(error).__name__}: {error}"]
    return found + [line for cause in behind if isinstance(cause, Exception) for line in _causes(cause)]
