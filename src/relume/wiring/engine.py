"""The job engine: what accepts, runs, tidies and tells of jobs, over the adapters of a process."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from relume import __version__
from relume.database import Database, database_url
from relume.imaging.limits import Limits
from relume.imaging.photo import ImageFormat
from relume.jobs.batches import BatchService
from relume.jobs.cache import ResultCache
from relume.jobs.janitor import Janitor
from relume.jobs.quotas import Quota
from relume.jobs.repository.batches import BatchRepository
from relume.jobs.repository.jobs import JobRepository
from relume.jobs.runner import Runner
from relume.jobs.service import JobService
from relume.jobs.tallies import MemoryMeters
from relume.outbound import UrlPolicy
from relume.pipeline import Pipeline
from relume.ports import Clock, Events, Fetcher, Queue, Store
from relume.providers.catalog import Catalog
from relume.settings import Settings
from relume.webhooks import WebhookSender
from relume.wiring.providers import build_catalog, serving_pipeline
from relume.wiring.queues import Links
from relume.wiring.roles import SystemClock
from relume.wiring.storage import build_store


@dataclass(frozen=True, slots=True)
class Ground:
    """What the parts of the engine stand on, each taking what it needs."""

    settings: Settings
    clock: Clock
    meters: MemoryMeters
    catalog: Catalog
    pipeline: Pipeline
    database: Database
    quota: Quota
    repository: JobRepository
    store: Store
    events: Events
    limits: Limits

    @property
    def keep_files(self) -> timedelta | None:
        """How long files are kept after a job's end; None is for ever."""
        return timedelta(minutes=self.settings.result_ttl_minutes) or None

    @property
    def keep_media(self) -> timedelta | None:
        """The same for pictures from prompts, which may have their own time."""
        own = self.settings.media_ttl_minutes
        return self.keep_files if own is None else timedelta(minutes=own) or None


def build_ground(settings: Settings, links: Links) -> Ground:
    """Raises SettingsError."""
    meters = MemoryMeters()
    catalog = build_catalog(settings, links.news, meters)
    database = Database(database_url(settings))
    quota = Quota(settings.quota_jobs_per_day, settings.quota_usd_per_day)
    return Ground(
        settings=settings,
        clock=SystemClock(),
        meters=meters,
        catalog=catalog,
        pipeline=serving_pipeline(settings, catalog),
        database=database,
        quota=quota,
        repository=JobRepository(database, quota),
        store=build_store(settings),
        events=links.events,
        limits=Limits(max_bytes=settings.max_image_bytes),
    )


def build_runner(ground: Ground, fetcher: Fetcher) -> Runner:
    return Runner(
        repository=ground.repository,
        store=ground.store,
        events=ground.events,
        pipeline=ground.pipeline,
        fetcher=fetcher,
        clock=ground.clock,
        limits=ground.limits,
        lease=timedelta(seconds=ground.settings.lease_seconds),
        keep_files=ground.keep_files,
        keep_media=ground.keep_media,
        cache=_build_cache(ground),
        meters=ground.meters,
    )


def build_jobs(ground: Ground, queue: Queue) -> JobService:
    return JobService(
        repository=ground.repository,
        store=ground.store,
        queue=queue,
        events=ground.events,
        pipeline=ground.pipeline,
        clock=ground.clock,
        limits=ground.limits,
        keep_files=ground.keep_files,
        meters=ground.meters,
    )


def build_batches(ground: Ground, jobs: JobService, queue: Queue) -> BatchService:
    return BatchService(
        repository=BatchRepository(ground.database, ground.quota),
        jobs=jobs,
        store=ground.store,
        queue=queue,
        pipeline=ground.pipeline,
        clock=ground.clock,
        limits=Limits(max_bytes=ground.settings.max_file_bytes, formats=frozenset(ImageFormat)),
        meters=ground.meters,
    )


def build_janitor(ground: Ground) -> Janitor:
    settings = ground.settings
    return Janitor(
        ground.repository,
        ground.store,
        ground.clock,
        timedelta(minutes=settings.janitor_interval_minutes),
        keep_metadata=timedelta(minutes=settings.metadata_ttl_minutes) or None,
        keep_jobs=timedelta(days=settings.job_ttl_days) or None,
    )


def build_webhooks(ground: Ground, policy: UrlPolicy) -> WebhookSender | None:
    secret = ground.settings.webhook_secret
    if secret is None:
        return None
    deliveries = ground.repository.deliveries
    return WebhookSender(deliveries, policy, ground.clock, secret.get_secret_value(), ground.meters)


def _build_cache(ground: Ground) -> ResultCache | None:
    """The dummy provider promises to wait each time, so nothing is cached where it works."""
    settings, catalog = ground.settings, ground.catalog
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
        ground.repository,
        ground.store,
        lambda recipe: " ".join((__version__, *catalog.served_by(recipe), hosts, catalog.fingerprint)),
        keep_unmixed=settings.keep_unmixed,
    )
