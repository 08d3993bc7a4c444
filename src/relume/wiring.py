"""Settings in, working parts out. The only place that names concrete adapters."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from relume import __version__
from relume.database import Database, database_url
from relume.errors import SettingsError
from relume.fetch import UrlFetcher
from relume.imaging.limits import Limits
from relume.jobs.cache import ResultCache
from relume.jobs.files import RESULTS, UPLOADS
from relume.jobs.janitor import Janitor
from relume.jobs.repository import JobRepository
from relume.jobs.runner import Runner
from relume.jobs.service import JobService
from relume.outbound import UrlPolicy
from relume.pipeline import Pipeline
from relume.providers.catalog import Catalog
from relume.queues.embedded import EmbeddedQueue
from relume.queues.events import MemoryEvents
from relume.settings import Settings
from relume.storage.local import FolderStore
from relume.telemetry import logger
from relume.webhooks import WebhookSender

log = logger(__name__)

_LOCAL_PLACES = 2
"""One photo on the device, and one being decoded or encoded meanwhile."""


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)


@dataclass(slots=True)
class Services:
    """Everything a process of Relume is made of, from its start to its stop."""

    settings: Settings
    catalog: Catalog
    database: Database
    store: FolderStore
    jobs: JobService
    queue: EmbeddedQueue
    janitor: Janitor
    fetcher: UrlFetcher
    policy: UrlPolicy
    webhooks: WebhookSender | None
    limits: Limits
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def start(self) -> None:
        await self.database.upgrade()
        await self.queue.start()
        self._spawn(self.janitor.run_forever())
        if self.webhooks is not None:
            self._spawn(self.webhooks.run_forever())

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.queue.stop()
        await self.fetcher.close()
        await self.catalog.close()
        if self.webhooks is not None:
            await self.webhooks.close()
        await self.database.close()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(asyncio.create_task(work))


def build_pipeline(settings: Settings) -> Pipeline:
    """What restores one photo, with no server, database or queue."""
    return Pipeline(Catalog(settings).chain)


def build_services(settings: Settings) -> Services:
    """Connects the parts; starts nothing. Raises SettingsError for what this version cannot do."""
    refuse_what_is_not_here(settings)
    clock = SystemClock()
    catalog = Catalog(settings)
    pipeline = Pipeline(catalog.chain)
    database = Database(database_url(settings))
    repository = JobRepository(database)
    store = FolderStore(storage_areas(settings))
    events = MemoryEvents()
    policy = UrlPolicy(settings.fetch_allowed_hosts)
    fetcher = UrlFetcher(policy)
    limits = Limits(max_bytes=settings.max_image_bytes)
    keep_files = timedelta(minutes=settings.result_ttl_minutes) or None
    runner = Runner(
        repository=repository,
        store=store,
        events=events,
        pipeline=pipeline,
        fetcher=fetcher,
        clock=clock,
        limits=limits,
        lease=timedelta(seconds=settings.lease_seconds),
        keep_files=keep_files,
        cache=_cache(settings, repository, store, catalog),
    )
    queue = EmbeddedQueue(
        runner.run,
        lambda: repository.due(clock.now()),
        places={"local": _LOCAL_PLACES, "hosted": settings.worker_concurrency},
        sweep_seconds=settings.sweep_seconds,
    )
    return Services(
        settings=settings,
        catalog=catalog,
        database=database,
        store=store,
        jobs=JobService(
            repository=repository,
            store=store,
            queue=queue,
            events=events,
            pipeline=pipeline,
            clock=clock,
            limits=limits,
            keep_files=keep_files,
        ),
        queue=queue,
        janitor=Janitor(repository, store, clock, timedelta(minutes=settings.janitor_interval_minutes)),
        fetcher=fetcher,
        policy=policy,
        webhooks=_webhooks(settings, repository, policy, clock),
        limits=limits,
    )


def storage_areas(settings: Settings) -> dict[str, Path]:
    """The folder of each storage area. A relative folder lies below STORAGE_DIR. Raises SettingsError."""
    root = settings.storage_folder
    areas = {UPLOADS: root / settings.upload_folder, RESULTS: root / settings.processed_folder}
    uploads, results = (folder.resolve() for folder in areas.values())
    if uploads.is_relative_to(results) or results.is_relative_to(uploads):
        raise SettingsError("UPLOAD_FOLDER and PROCESSED_FOLDER are wrong: neither may lie in the other.")
    return areas


def _cache(
    settings: Settings, repository: JobRepository, store: FolderStore, catalog: Catalog
) -> ResultCache | None:
    """The dummy provider promises to wait each time, so nothing is cached where it works."""
    if not settings.result_cache_enabled or settings.provider == "generic":
        return None
    hosts = repr(
        (
            settings.replicate_base_url,
            settings.huggingface_base_url,
            settings.huggingface_space_upscale,
            settings.huggingface_space_cartoonify,
            settings.cog_faces_url,
            settings.cog_upscale_url,
        )
    )
    return ResultCache(
        repository,
        store,
        lambda recipe: " ".join((__version__, *catalog.served_by(recipe), hosts, catalog.fingerprint)),
    )


def _webhooks(
    settings: Settings, repository: JobRepository, policy: UrlPolicy, clock: SystemClock
) -> WebhookSender | None:
    if settings.webhook_secret is None:
        return None
    return WebhookSender(repository, policy, clock, settings.webhook_secret.get_secret_value())


def refuse_what_is_not_here(settings: Settings) -> None:
    """Better no start than a start that quietly does something else than it was told. Raises SettingsError."""
    if settings.celery_broker_url:
        raise SettingsError(
            "CELERY_BROKER_URL (or REDIS_URL) is set, but this version of Relume runs its workers in its own "
            "process only. Unset it to start."
        )
    if "://" in settings.storage_dir:
        raise SettingsError(
            "STORAGE_DIR is wrong: this version of Relume stores files in a local folder only, not in a bucket."
        )
