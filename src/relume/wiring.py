"""Settings in, working parts out. The only place that names concrete adapters."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

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
from relume.jobs.sweep import Sweep
from relume.outbound import UrlPolicy
from relume.pipeline import Pipeline
from relume.ports import BreakerNews, Events, NoBreakerNews, Queue
from relume.providers.catalog import Catalog
from relume.providers.chain import Breakers
from relume.queues.embedded import EmbeddedQueue
from relume.queues.events import MemoryEvents
from relume.settings import Settings
from relume.storage.local import FolderStore
from relume.telemetry import logger
from relume.webhooks import WebhookSender

if TYPE_CHECKING:
    from celery import Celery

log = logger(__name__)

LOCAL_PLACES = 2
"""One photo on the device, and one being decoded or encoded meanwhile."""
LANES = ("hosted", "local")
_SWEEPS_UNTIL_LATE = 12
"""After so many rounds of the sweep, an id that was handed to the broker and not taken may be lost."""

Role = Literal["all", "api", "worker"]
"""What a process does: `all` serves and runs jobs, `api` serves, `worker` runs jobs that a broker hands out."""


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)


class Part(Protocol):
    async def start(self) -> None: ...

    async def stop(self) -> None: ...


@dataclass(slots=True)
class Services:
    """Everything a process of Relume is made of, from its start to its stop."""

    settings: Settings
    role: Role
    lanes: tuple[str, ...]
    """The lanes whose jobs this process runs; empty for one that only serves."""
    catalog: Catalog
    database: Database
    store: FolderStore
    runner: Runner
    jobs: JobService
    queue: Queue
    janitor: Janitor
    fetcher: UrlFetcher
    policy: UrlPolicy
    webhooks: WebhookSender | None
    limits: Limits
    celery: Celery | None = None
    """The task queue of a process that works with others."""
    links: Sequence[Part] = ()
    """The connections to other processes, in the order of their start."""
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def start(self) -> None:
        await prepare_tables(self.database, self.settings)
        for part in (*self.links, self.queue):
            await part.start()
        self._spawn(self.janitor.run_forever())
        if self.webhooks is not None:
            self._spawn(self.webhooks.run_forever())

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for part in (self.queue, *reversed(self.links)):
            await part.stop()
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


def api_role(settings: Settings) -> Role:
    """With a broker, an API process leaves the jobs to the workers."""
    return "api" if settings.celery_broker_url else "all"


def build_services(settings: Settings, role: Role | None = None, lanes: tuple[str, ...] = LANES) -> Services:
    """Connects the parts of a process with a role, the API's by default; starts nothing.

    Raises SettingsError for what this version cannot do.
    """
    role = role or api_role(settings)
    refuse_what_is_not_here(settings)
    clock = SystemClock()
    if role != "all" and database_url(settings).get_backend_name() == "sqlite":
        log.warning("database.one_machine_only")
    links = _links(settings)
    catalog = Catalog(settings, Breakers(links.news))
    pipeline = Pipeline(catalog.chain)
    database = Database(database_url(settings))
    repository = JobRepository(database)
    store = FolderStore(storage_areas(settings))
    events = links.events
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
    celery, queue = _queue(settings, role, repository, clock, runner)
    return Services(
        settings=settings,
        role=role,
        lanes=() if role == "api" else lanes,
        catalog=catalog,
        database=database,
        store=store,
        runner=runner,
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
        celery=celery,
        links=links.parts,
    )


def storage_areas(settings: Settings) -> dict[str, Path]:
    """The folder of each storage area. A relative folder lies below STORAGE_DIR. Raises SettingsError."""
    root = settings.storage_folder
    areas = {UPLOADS: root / settings.upload_folder, RESULTS: root / settings.processed_folder}
    uploads, results = (folder.resolve() for folder in areas.values())
    if uploads.is_relative_to(results) or results.is_relative_to(uploads):
        raise SettingsError("UPLOAD_FOLDER and PROCESSED_FOLDER are wrong: neither may lie in the other.")
    return areas


async def prepare_tables(database: Database, settings: Settings) -> None:
    """Bring the tables up to date, or see that they are. Raises SettingsError.

    A file of SQLite is made by whoever comes first, so it is always brought up to date.
    """
    is_file = database.url.get_backend_name() == "sqlite"
    if is_file or settings.database_upgrade_at_start:
        await database.upgrade()
    elif not await database.is_current():
        raise SettingsError(
            "DATABASE_UPGRADE_AT_START is false, and the tables are not those of this version. "
            "Run `relume db upgrade` once, then start again."
        )


@dataclass(frozen=True, slots=True)
class _Links:
    """How a process hears from others, and is heard."""

    events: Events
    news: BreakerNews
    parts: tuple[Part, ...] = ()


def _links(settings: Settings) -> _Links:
    if settings.redis_url is None:
        return _Links(MemoryEvents(), NoBreakerNews())
    from relume.queues.redis_bus import RedisBus
    from relume.queues.redis_events import RedisEvents
    from relume.queues.redis_news import RedisBreakerNews

    bus = RedisBus(settings.redis_url, settings.queue_prefix)
    news = RedisBreakerNews(bus)
    return _Links(RedisEvents(bus), news, (bus,))


def _queue(
    settings: Settings, role: Role, repository: JobRepository, clock: SystemClock, runner: Runner
) -> tuple[Celery | None, Queue]:
    """The queue of a role. Celery is loaded only where a broker is configured."""
    if role == "all":
        return None, EmbeddedQueue(
            runner.run,
            lambda: repository.due(clock.now()),
            places={"local": LOCAL_PLACES, "hosted": settings.worker_concurrency},
            sweep_seconds=settings.sweep_seconds,
        )
    from relume.queues.celery_app import make_app
    from relume.queues.celery_queue import CeleryQueue

    app = make_app(settings, LANES)
    queue = CeleryQueue(app, settings.queue_prefix, sweep_seconds=settings.sweep_seconds)
    patience = timedelta(seconds=_SWEEPS_UNTIL_LATE * settings.sweep_seconds)
    queue.sweep_with(Sweep(repository, clock, queue.depth, patience).overdue)
    return app, queue


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
        repository, store, lambda recipe: " ".join((__version__, *catalog.served_by(recipe), hosts))
    )


def _webhooks(
    settings: Settings, repository: JobRepository, policy: UrlPolicy, clock: SystemClock
) -> WebhookSender | None:
    if settings.webhook_secret is None:
        return None
    return WebhookSender(repository, policy, clock, settings.webhook_secret.get_secret_value())


def refuse_what_is_not_here(settings: Settings) -> None:
    """Better no start than a start that quietly does something else than it was told. Raises SettingsError."""
    if settings.celery_broker_url and find_spec("celery") is None:
        raise SettingsError(
            "CELERY_BROKER_URL (or REDIS_URL) is set, but Celery is not installed. "
            "Run `pip install 'relume[distributed]'`, or unset it."
        )
    if "://" in settings.storage_dir:
        raise SettingsError(
            "STORAGE_DIR is wrong: this version of Relume stores files in a local folder only, not in a bucket."
        )
