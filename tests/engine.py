"""The job engine as tests use it: real parts, a clock that is set by hand, a provider that is told what to do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from uuid import UUID

import pytest

from relume.database import Database
from relume.errors import RelumeError
from relume.imaging.limits import Limits
from relume.jobs.cache import ResultCache
from relume.jobs.janitor import Janitor
from relume.jobs.models import Job
from relume.jobs.quotas import NO_QUOTA, Quota
from relume.jobs.repository.jobs import JobRepository
from relume.jobs.runner import Runner
from relume.jobs.service import JobService, Submission
from relume.jobs.tallies import MemoryMeters
from relume.pipeline import Pipeline
from relume.ports import Store
from relume.providers.chain import Chain, Patience
from relume.queues.embedded import EmbeddedQueue
from relume.queues.events import MemoryEvents
from relume.recipes import build
from relume.storage.local import FolderStore
from tests import photos
from tests.buckets import Bucket
from tests.providers import ScriptedProvider

LEASE = timedelta(seconds=30)
AREAS = ("uploads", "results", "media", "metadata")


class HandClock:
    """Stands still until a test moves it."""

    def __init__(self) -> None:
        self.time = datetime(2026, 1, 1, 12, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time

    def forward(self, **by: float) -> None:
        self.time += timedelta(**by)


class MemoryFetcher:
    """URLs that lead to bytes, or to an error."""

    def __init__(self) -> None:
        self.pages: dict[str, bytes | RelumeError] = {}

    async def check(self, url: str) -> None:
        del url

    async def fetch(self, url: str, max_bytes: int) -> bytes:
        del max_bytes
        found = self.pages[url]
        if isinstance(found, RelumeError):
            raise found
        return found


class QuietQueue:
    """Remembers ids and runs nothing: the test calls the runner itself."""

    def __init__(self) -> None:
        self.ids: list[UUID] = []

    def enqueue(self, job_id: UUID, lane: str) -> None:
        del lane
        self.ids.append(job_id)

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


@dataclass
class Engine:
    database: Database
    clock: HandClock
    provider: ScriptedProvider
    fetcher: MemoryFetcher
    queue: QuietQueue
    events: MemoryEvents
    store: Store
    list_files: Callable[[], list[str]]
    repository: JobRepository
    pipeline: Pipeline
    service: JobService
    janitor: Janitor
    limits: Limits
    keep_files: timedelta | None
    meters: MemoryMeters

    def runner(self, *, lease: timedelta = LEASE, served_by: str | None = None) -> Runner:
        """Each call is another worker. With `served_by`, it answers from its cache what that one served."""
        cache = None
        if served_by:
            cache = ResultCache(self.repository, self.store, lambda _recipe: served_by, keep_unmixed=True)
        return Runner(
            repository=self.repository,
            store=self.store,
            events=self.events,
            pipeline=self.pipeline,
            fetcher=self.fetcher,
            clock=self.clock,
            limits=self.limits,
            lease=lease,
            keep_files=self.keep_files,
            cache=cache,
            meters=self.meters,
        )

    async def submit(
        self,
        data: bytes | None = None,
        *,
        scale: int = 2,
        url: str | None = None,
        key: str | None = None,
        webhook_url: str | None = None,
        work_seconds: float | None = None,
        client: str | None = None,
        strength: float = 0.6,
        render_of: Job | None = None,
        filename: str | None = None,
    ) -> Job:
        if url is None and data is None and render_of is None:
            data = photos.encoded("PNG")
        recipe = build("restoration/gfpgans-1.4", scale=scale, strength=strength)
        return await self.service.submit(
            Submission(
                contract="v1",
                recipe=recipe,
                lane="local",
                data=data,
                source_url=url,
                filename=filename,
                idempotency_key=key,
                webhook_url=webhook_url,
                work_seconds=work_seconds,
                render_of=render_of,
                client=client,
            )
        )

    async def ended(self, job: Job) -> Job:
        """Run a job to its end, and read it again."""
        await self.runner().run(job.id)
        return await self.repository.get(job.id)

    async def killed_before_the_move(self, job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
        """Run a job up to its commit; its files stay where they were staged."""

        async def dies(_source: str, _target: str) -> None:
            raise asyncio.CancelledError

        with monkeypatch.context() as patch:
            patch.setattr(self.store, "move", dies)
            with pytest.raises(asyncio.CancelledError):
                await self.runner().run(job.id)

    async def result_of(self, job: Job) -> bytes:
        _, size_bytes, chunks = await self.service.open_result(job.id)
        data = b"".join([chunk async for chunk in chunks])
        assert len(data) == size_bytes
        return data

    def files(self) -> list[str]:
        """Every file in storage, by its path below the folder, or its key below the prefix."""
        return sorted(self.list_files())

    @asynccontextmanager
    async def working_queue(self, lease: timedelta = LEASE) -> AsyncIterator[EmbeddedQueue]:
        """A real embedded queue over this engine, which sweeps all the time."""
        queue = EmbeddedQueue(
            self.runner(lease=lease).run,
            lambda: self.repository.due.ids(self.clock.now()),
            places={"local": 2, "hosted": 4},
            sweep_seconds=0.05,
        )
        await queue.start()
        try:
            yield queue
        finally:
            await queue.stop()


def files_below(folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]


def folder_store(folder: Path) -> FolderStore:
    return FolderStore({area: folder / area for area in AREAS})


def build_engine(
    database: Database,
    folder: Path,
    *,
    keep_files: timedelta | None = timedelta(hours=1),
    quota: Quota = NO_QUOTA,
    bucket: Bucket | None = None,
    keep_unmixed: bool = False,
) -> Engine:
    """With files in `folder`, or in a bucket."""
    clock, provider, fetcher, queue = HandClock(), ScriptedProvider(), MemoryFetcher(), QuietQueue()
    events = MemoryEvents(quiet_seconds=0.05)
    areas = {area: area for area in AREAS}
    store = bucket.store(areas) if bucket else folder_store(folder)
    repository = JobRepository(database, quota)
    meters = MemoryMeters()
    patience = Patience(attempts=1)
    pipeline = Pipeline(lambda _recipe: Chain([provider], {}, patience=patience), keep_unmixed=keep_unmixed)
    limits = Limits()
    service = JobService(
        repository=repository,
        store=store,
        queue=queue,
        events=events,
        pipeline=pipeline,
        clock=clock,
        limits=limits,
        keep_files=keep_files,
        meters=meters,
    )
    return Engine(
        database=database,
        clock=clock,
        provider=provider,
        fetcher=fetcher,
        queue=queue,
        events=events,
        store=store,
        list_files=bucket.keys if bucket else partial(files_below, folder),
        repository=repository,
        pipeline=pipeline,
        service=service,
        janitor=Janitor(repository, store, clock, timedelta(minutes=30)),
        limits=limits,
        keep_files=keep_files,
        meters=meters,
    )
