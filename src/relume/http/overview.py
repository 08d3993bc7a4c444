"""`GET /api/v1/overview`: how the service is doing, in one answer, for those who look after it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import anyio.to_thread
from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel

from relume import __version__
from relume.errors import KeyMissing, KeyWrong, ServiceAway
from relume.http.gate import Gate
from relume.http.health import LOW_DISK_BYTES
from relume.http.lookout import Lookout
from relume.http.problems import documented
from relume.jobs.figures import LaneLoad
from relume.jobs.models import Job
from relume.jobs.pulse import ALIVE
from relume.jobs.recent import HOUR, Tried
from relume.wiring.services import Services
from relume.wiring.storage import storage_areas

_PATIENCE_SECONDS = 5.0
_FRESH_SECONDS = 3.0
"""However many people look, the database is asked this seldom."""
_DISK_FRESH_SECONDS = 600.0
_DISK_PATIENCE_SECONDS = 0.5
"""Counting all files may take a while: it goes on alone, and a later answer has what it found."""
_HOURS = 24
_FAILURES = 20


class QueueState(BaseModel):
    queued: int
    running: int
    oldest_queued_seconds: float | None
    """Null where none waits."""
    workers: int
    """Processes that work on jobs and gave a sign of life within 30 seconds."""


class ProviderState(BaseModel):
    """Today is the day in UTC. An attempt is one try at one task of a job."""

    name: str
    usable: bool
    reason: str | None
    """Why it is not usable as configured."""
    resting_for: list[str]
    """The kinds of task for which it failed too often lately."""
    succeeded_today: int
    failed_today: int
    cost_usd_today: float
    median_seconds: float | None
    """Of today's latest successful attempts; null where there were none."""


class QuotaState(BaseModel):
    """Counted for clients of a name, while quotas are on. A limit of 0 is none."""

    jobs_per_day: int
    usd_per_day: float
    clients_today: int
    jobs_today: int
    usd_today: float


class DiskState(BaseModel):
    """All null where files are kept in a bucket."""

    free_bytes: int | None
    total_bytes: int | None
    used_by_relume_bytes: int | None
    """Null until all files have been counted; counted again every ten minutes."""
    is_low: bool


class Hour(BaseModel):
    hour: datetime
    """Its beginning."""
    succeeded: int
    failed: int
    cancelled: int


class RecentFailure(BaseModel):
    job_id: str
    name: str | None
    """What the client called the file."""
    model: str
    code: str | None
    error: str | None
    ended_at: datetime | None


class Overview(BaseModel):
    queue: QueueState
    providers: list[ProviderState]
    cost_usd_today: float
    quota: QuotaState
    disk: DiskState
    jobs_by_hour: list[Hour]
    """The last 24, the current one last."""
    recent_failures: list[RecentFailure]
    """At most 20, the latest first."""
    version: str = __version__
    mode: Literal["embedded", "distributed"]


def router(services: Services, gate: Gate, lookout: Lookout) -> APIRouter:
    routes = APIRouter(prefix="/api/v1", tags=["operations"])
    viewpoint = Viewpoint(services, lookout)

    @routes.get(
        "/overview",
        summary="How the service is doing",
        dependencies=[Depends(gate.require_key), Depends(gate.require_operator)],
        responses=documented(KeyMissing, KeyWrong, ServiceAway),
    )
    async def overview(response: Response) -> Overview:
        """Queue, providers, costs, disk, the last 24 hours and the last failures, up to three seconds old."""
        response.headers["Cache-Control"] = "no-store"
        try:
            return await lookout.ask(
                "overview", viewpoint.look, patience_seconds=_PATIENCE_SECONDS, fresh_seconds=_FRESH_SECONDS
            )
        except TimeoutError as error:
            raise ServiceAway(
                "The figures cannot be read at the moment. Please try again in a few seconds.",
                retry_after_seconds=round(_PATIENCE_SECONDS),
            ) from error

    return routes


class Viewpoint:
    """Puts together what other parts keep."""

    def __init__(self, services: Services, lookout: Lookout) -> None:
        self._services = services
        self._lookout = lookout

    async def look(self) -> Overview:
        now = self._services.clock.now().astimezone(UTC)
        today = now.replace(hour=0, minute=0, second=0, microsecond=0)
        tried = await self._services.recent.by_provider(today)
        return Overview(
            queue=await self._queue(now),
            providers=self._providers(tried),
            cost_usd_today=round(sum(one.cost_usd for one in tried.values()), 6),
            quota=await self._quota(now),
            disk=await self._disk(),
            jobs_by_hour=await self._hours(now),
            recent_failures=[_failure(job) for job in await self._services.recent.failures(_FAILURES)],
            mode=self._services.mode,
        )

    async def _queue(self, now: datetime) -> QueueState:
        loads: Iterable[LaneLoad] = (await self._services.figures.lanes()).values()
        alive = await self._services.figures.processes(now - ALIVE)
        oldest = min((load.oldest_since for load in loads if load.oldest_since), default=None)
        return QueueState(
            queued=sum(load.waiting for load in loads),
            running=sum(load.running for load in loads),
            oldest_queued_seconds=None
            if oldest is None
            else round(max(now - oldest, timedelta()).total_seconds(), 1),
            workers=sum(bool(row.lanes) for row in alive),
        )

    def _providers(self, tried: dict[str, Tried]) -> list[ProviderState]:
        catalog = self._services.catalog
        states = []
        for provider in catalog.providers:
            done, reason = tried.get(provider.name, Tried()), provider.unavailable()
            states.append(
                ProviderState(
                    name=provider.name,
                    usable=reason is None,
                    reason=reason,
                    resting_for=catalog.breakers.open_tasks(provider.name),
                    succeeded_today=done.succeeded,
                    failed_today=done.failed,
                    cost_usd_today=round(done.cost_usd, 6),
                    median_seconds=done.median_seconds,
                )
            )
        return states

    async def _quota(self, now: datetime) -> QuotaState:
        settings, used = self._services.settings, await self._services.recent.usage(now.date())
        return QuotaState(
            jobs_per_day=settings.quota_jobs_per_day,
            usd_per_day=settings.quota_usd_per_day,
            clients_today=used.clients,
            jobs_today=used.jobs,
            usd_today=round(used.cost_usd, 6),
        )

    async def _hours(self, now: datetime) -> list[Hour]:
        first = now.replace(minute=0, second=0, microsecond=0) - (_HOURS - 1) * HOUR
        ended = await self._services.recent.ended_by_hour(first, _HOURS)
        return [
            Hour(hour=first + index * HOUR, **{status.value: number for status, number in counts.items()})
            for index, counts in enumerate(ended)
        ]

    async def _disk(self) -> DiskState:
        folder = self._services.data_folder
        if folder is None:
            return DiskState(free_bytes=None, total_bytes=None, used_by_relume_bytes=None, is_low=False)
        disk = await anyio.to_thread.run_sync(shutil.disk_usage, folder)
        return DiskState(
            free_bytes=disk.free,
            total_bytes=disk.total,
            used_by_relume_bytes=await self._used(folder),
            is_low=disk.free < LOW_DISK_BYTES,
        )

    async def _used(self, data: Path) -> int | None:
        areas = storage_areas(self._services.settings).values()
        folders = [data, *(area for area in areas if not area.is_relative_to(data))]

        async def look() -> int:
            return await anyio.to_thread.run_sync(lambda: sum(map(folder_bytes, folders)))

        try:
            return await self._lookout.ask(
                "disk used",
                look,
                patience_seconds=_DISK_PATIENCE_SECONDS,
                fresh_seconds=_DISK_FRESH_SECONDS,
            )
        except TimeoutError:
            return None


def folder_bytes(folder: Path) -> int:
    """What the files below a folder take. One that goes meanwhile counts as nothing."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += os.lstat(os.path.join(parent, name)).st_size  # noqa: PTH118 (twice as fast)
    return total


def _failure(job: Job) -> RecentFailure:
    return RecentFailure(
        job_id=str(job.id),
        name=job.original_filename,
        model=job.model_id,
        code=job.error_code,
        error=job.error_detail,
        ended_at=job.finished_at,
    )
