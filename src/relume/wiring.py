"""Settings in, working parts out. The only place that names concrete adapters."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from itertools import permutations
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from pydantic import SecretStr

from relume import __version__
from relume.database import Database, database_url
from relume.errors import SettingsError
from relume.fetch import UrlFetcher
from relume.imaging.limits import MEGABYTE, Limits
from relume.imaging.photo import ImageFormat
from relume.jobs.batch_repository import BatchRepository
from relume.jobs.batches import BatchService
from relume.jobs.cache import ResultCache
from relume.jobs.figures import Figures
from relume.jobs.files import MEDIA, METADATA, RESULTS, UPLOADS
from relume.jobs.janitor import Janitor
from relume.jobs.keys import KeyRing
from relume.jobs.pulse import Pulse
from relume.jobs.quotas import Quota
from relume.jobs.recent import RecentFigures
from relume.jobs.repository import JobRepository
from relume.jobs.runner import Runner
from relume.jobs.service import JobService
from relume.jobs.sweep import Sweep
from relume.jobs.tallies import MemoryMeters
from relume.metrics import BREAKER_OPENINGS
from relume.outbound import UrlPolicy
from relume.pipeline import Pipeline
from relume.ports import BreakerNews, Clock, Events, NoBreakerNews, Queue, Store
from relume.providers.catalog import Catalog
from relume.providers.chain import Breakers
from relume.queues.embedded import EmbeddedQueue
from relume.queues.events import MemoryEvents
from relume.settings import Settings
from relume.storage.bucket import BucketAccess, BucketStore
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
    clock: Clock
    role: Role
    lanes: tuple[str, ...]
    """The lanes whose jobs this process runs; empty for one that only serves."""
    catalog: Catalog
    database: Database
    store: Store
    runner: Runner
    jobs: JobService
    batches: BatchService
    keys: KeyRing
    queue: Queue
    janitor: Janitor
    fetcher: UrlFetcher
    policy: UrlPolicy
    webhooks: WebhookSender | None
    limits: Limits
    figures: Figures
    recent: RecentFigures
    meters: MemoryMeters
    pulse: Pulse
    celery: Celery | None = None
    """The task queue of a process that works with others."""
    links: Sequence[Part] = ()
    """The connections to other processes, in the order of their start."""
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    @property
    def mode(self) -> Literal["embedded", "distributed"]:
        return "distributed" if self.settings.celery_broker_url else "embedded"

    @property
    def data_folder(self) -> Path | None:
        """Where files are kept on this machine, or None where they are kept elsewhere."""
        return None if self.settings.bucket else self.settings.storage_folder

    async def start(self) -> None:
        await self._check_store()  # First: where it fails, there is no connection yet to be closed.
        await prepare_tables(self.database, self.settings)
        for part in (*self.links, self.queue):
            await part.start()
        await self.pulse.beat()  # Who asks for the health at once finds this process alive.
        self._spawn(self.pulse.run_forever())
        self._spawn(self.janitor.run_forever())
        if self.webhooks is not None:
            self._spawn(self.webhooks.run_forever())

    async def _check_store(self) -> None:
        try:
            await self.store.check()
        except OSError as error:
            log.error("storage.unusable", storage=self.settings.storage_dir, cause=str(error))  # noqa: TRY400
            raise

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
        await self.pulse.stop()
        await self.database.close()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(asyncio.create_task(work))


def build_pipeline(settings: Settings) -> Pipeline:
    """What restores one photo, with no server, database or queue. To be closed after use."""
    catalog = Catalog(settings)
    return Pipeline(catalog.chain, close=catalog.close)


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
    pipeline = Pipeline(
        catalog.chain,
        memory_bytes=int(settings.photo_memory_mb * MEGABYTE),
        keep_unmixed=settings.keep_unmixed,
    )
    database = Database(database_url(settings))
    meters = MemoryMeters()
    catalog.breakers.on_open = lambda provider, task: meters.count(
        BREAKER_OPENINGS, provider=provider, task=task
    )
    figures = Figures(database)
    quota = Quota(settings.quota_jobs_per_day, settings.quota_usd_per_day)
    repository = JobRepository(database, quota)
    store = build_store(settings)
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
        keep_media=_keep_media(settings),
        cache=_cache(settings, repository, store, catalog),
        meters=meters,
    )
    celery, queue = _queue(settings, role, repository, clock, runner)
    jobs = JobService(
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
    return Services(
        settings=settings,
        clock=clock,
        role=role,
        lanes=() if role == "api" else lanes,
        catalog=catalog,
        database=database,
        store=store,
        runner=runner,
        jobs=jobs,
        batches=BatchService(
            repository=BatchRepository(database, quota),
            jobs=jobs,
            store=store,
            queue=queue,
            pipeline=pipeline,
            clock=clock,
            limits=Limits(max_bytes=settings.max_file_bytes, formats=frozenset(ImageFormat)),
            meters=meters,
        ),
        keys=KeyRing(database, clock),
        queue=queue,
        janitor=Janitor(
            repository,
            store,
            clock,
            timedelta(minutes=settings.janitor_interval_minutes),
            keep_metadata=timedelta(minutes=settings.metadata_ttl_minutes) or None,
            keep_jobs=timedelta(days=settings.job_ttl_days) or None,
        ),
        fetcher=fetcher,
        policy=policy,
        webhooks=_webhooks(settings, repository, policy, clock, meters),
        limits=limits,
        figures=figures,
        recent=RecentFigures(database),
        meters=meters,
        pulse=Pulse(
            figures,
            meters,
            clock,
            kind="worker" if role == "worker" else "api",
            lanes=() if role == "api" else lanes,
        ),
        celery=celery,
        links=links.parts,
    )


@asynccontextmanager
async def opened_keys(settings: Settings) -> AsyncIterator[KeyRing]:
    """The API keys alone, for the command line."""
    database = Database(database_url(settings))
    try:
        await database.upgrade()
        yield KeyRing(database, SystemClock())
    finally:
        await database.close()


_FOLDER_OF = {
    UPLOADS: "UPLOAD_FOLDER",
    RESULTS: "PROCESSED_FOLDER",
    MEDIA: "STORAGE_PATH",
    METADATA: "the folder 'metadata' beside STORAGE_PATH",
}
"""How the folders are named to an operator."""


def build_store(settings: Settings) -> Store:
    """Folders, or a bucket. Raises SettingsError."""
    areas = storage_areas(settings)
    if settings.bucket is None:
        return FolderStore(areas)
    access = BucketAccess(
        region=settings.aws_region,
        endpoint_url=settings.s3_endpoint_url,
        key_id=_plain(settings.aws_access_key_id),
        secret_key=_plain(settings.aws_secret_access_key),
        session_token=_plain(settings.aws_session_token),
    )
    prefixes = {area: folder.as_posix() for area, folder in areas.items()}
    return BucketStore(settings.bucket.name, prefixes, access)


def _plain(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret else None


def storage_areas(settings: Settings) -> dict[str, Path]:
    """The folder of each storage area; in a bucket, the prefix of its keys.

    A relative folder lies below STORAGE_DIR. Raises SettingsError.
    """
    root = Path(settings.bucket.prefix) if settings.bucket else settings.storage_folder
    media = root / settings.storage_path
    areas = {
        UPLOADS: root / settings.upload_folder,
        RESULTS: root / settings.processed_folder,
        MEDIA: media,
        METADATA: media.parent / METADATA,
    }
    for one, other in permutations(areas, 2):
        if areas[one].resolve().is_relative_to(areas[other].resolve()):
            names = f"{_FOLDER_OF[one]} and {_FOLDER_OF[other]}"
            raise SettingsError(f"{names} are wrong: neither may lie in the other.")
    if settings.bucket and any(folder.is_absolute() or ".." in folder.parts for folder in areas.values()):
        raise SettingsError(
            "UPLOAD_FOLDER, PROCESSED_FOLDER or STORAGE_PATH is wrong: STORAGE_DIR is a bucket, and they lie in it."
        )
    return areas


def _keep_media(settings: Settings) -> timedelta | None:
    own = settings.media_ttl_minutes
    return timedelta(minutes=settings.result_ttl_minutes if own is None else own) or None


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
    settings: Settings, repository: JobRepository, store: Store, catalog: Catalog
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
        keep_unmixed=settings.keep_unmixed,
    )


def _webhooks(
    settings: Settings, repository: JobRepository, policy: UrlPolicy, clock: SystemClock, meters: MemoryMeters
) -> WebhookSender | None:
    if settings.webhook_secret is None:
        return None
    return WebhookSender(repository, policy, clock, settings.webhook_secret.get_secret_value(), meters)


def refuse_what_is_not_here(settings: Settings) -> None:
    """Better no start than a start that quietly does something else than it was told. Raises SettingsError."""
    if settings.celery_broker_url and find_spec("celery") is None:
        raise SettingsError(
            "CELERY_BROKER_URL (or REDIS_URL) is set, but Celery is not installed. "
            "Run `pip install 'relume[distributed]'`, or unset it."
        )
