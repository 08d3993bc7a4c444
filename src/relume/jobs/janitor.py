"""Keeps the disk and the tables tidy: expired files, stray files of killed processes, unfinished moves."""

from __future__ import annotations

import asyncio
import random
from datetime import datetime, timedelta

from relume.errors import NotFound
from relume.jobs.files import MEDIA, METADATA, RESULTS, UPLOADS, all_keys, owner
from relume.jobs.models import Job
from relume.jobs.repository.jobs import JobRepository
from relume.jobs.runner import promote
from relume.ports import Clock, Store
from relume.telemetry import logger

log = logger(__name__)

_STRAY_AGE = timedelta(hours=1)
"""A file that no job names is left alone this long: it may belong to a request that is still running."""
_KEY_AGE = timedelta(hours=24)
"""How long an idempotency key is remembered."""
_USAGE_AGE = timedelta(days=400)
"""How long it is kept who used how much on which day: a year, and time to look at it."""


class Janitor:
    """Safe to run in several processes at once: every step may be repeated."""

    def __init__(
        self,
        repository: JobRepository,
        store: Store,
        clock: Clock,
        interval: timedelta,
        *,
        keep_metadata: timedelta | None = None,
        keep_jobs: timedelta | None = None,
    ) -> None:
        """How long the metadata of media are kept after their job's end, and jobs after they came.

        None is for ever.
        """
        self._repository = repository
        self._store = store
        self._clock = clock
        self._interval = interval
        self._keep_metadata = keep_metadata
        self._keep_jobs = keep_jobs

    async def run_forever(self) -> None:
        while True:
            await self.sweep()
            spread = random.uniform(0.8, 1.2)  # noqa: S311 (many processes do not all look at once)
            await asyncio.sleep(spread * self._interval.total_seconds())

    async def sweep(self) -> None:
        """One round of every chore. One that fails is logged, and keeps no other from being done."""
        chores = (
            self._promote,
            self._expire,
            self._expire_metadata,
            self._remove_strays,
            self._remove_unfinished,
            self._forget_keys,
            self._forget_jobs,
            self._forget_usage,
        )
        for chore in chores:
            try:
                done = await chore()
            except Exception:
                log.exception("janitor.fault", chore=chore.__name__.lstrip("_"))
            else:
                if done:
                    log.info("janitor.swept", chore=chore.__name__.lstrip("_"), number=done)

    async def _promote(self) -> int:
        jobs = await self._repository.files.staged()
        for job in jobs:
            staged, final = str(job.staged_key), str(job.result_key)
            try:
                await promote(job.id, staged, final, self._store, self._repository, unmixed=job.unmixed_key)
            except NotFound:
                log.exception("janitor.result_missing", job_id=str(job.id))
                await self._repository.files.mark_promoted(job.id)
            except Exception:
                log.exception("janitor.fault", chore="promote", job_id=str(job.id))
        return len(jobs)

    async def _expire(self) -> int:
        total = 0
        while jobs := await self._repository.files.expired(self._clock.now()):
            await self._store.delete([key for job in jobs for key in all_keys(job)])
            await self._repository.files.mark_deleted([job.id for job in jobs], self._clock.now())
            total += len(jobs)
        return total

    async def _expire_metadata(self) -> int:
        """Told from the files alone: each was written when its job ended."""
        if self._keep_metadata is None:
            return 0
        old = await self._older_than(METADATA, self._clock.now() - self._keep_metadata)
        await self._store.delete(old)
        return len(old)

    async def _remove_strays(self) -> int:
        """Files that no job names: an upload whose row was never written, a result whose run lost its lease."""
        oldest_kept = self._clock.now() - _STRAY_AGE
        removed = 0
        for area in (UPLOADS, RESULTS, MEDIA):
            old = await self._older_than(area, oldest_kept)
            for start in range(0, len(old), 500):
                strays = await self._strays(old[start : start + 500])
                await self._store.delete(strays)
                removed += len(strays)
        return removed

    async def _older_than(self, area: str, moment: datetime) -> list[str]:
        objects = self._store.list_objects(f"{area}/")
        return [found.key async for found in objects if found.modified_at < moment]

    async def _remove_unfinished(self) -> int:
        return await self._store.remove_unfinished(self._clock.now() - _STRAY_AGE)

    async def _forget_keys(self) -> int:
        return await self._repository.retention.delete_keys_before(self._clock.now() - _KEY_AGE)

    async def _forget_jobs(self) -> int:
        """Their files, where they are still kept, are strays from now on."""
        if self._keep_jobs is None:
            return 0
        moment, total = self._clock.now() - self._keep_jobs, 0
        while deleted := await self._repository.retention.delete_ended_before(moment):
            total += deleted
        await self._repository.retention.delete_empty_batches_before(moment)
        return total

    async def _forget_usage(self) -> int:
        return await self._repository.retention.delete_usage_before((self._clock.now() - _USAGE_AGE).date())

    async def _strays(self, keys: list[str]) -> list[str]:
        """Those of `keys` that are ours by name, and that their job does not name (any more)."""
        owners = {key: job_id for key in keys if (job_id := owner(key)) is not None}
        jobs = {job.id: job for job in await self._repository.get_many(sorted(set(owners.values())))}
        return [key for key, job_id in owners.items() if not _names(jobs.get(job_id), key)]


def _names(job: Job | None, key: str) -> bool:
    """A running job's file is never a stray, even if the row does not name it yet.

    What is left of deleted files is one: a result may have been moved while they were deleted.
    """
    if job is None or job.files_deleted_at is not None:
        return False
    return not job.status.has_ended or key in all_keys(job)
