"""The parts of a process, from its start to its stop."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from relume.database import Database
from relume.fetch import UrlFetcher
from relume.imaging.limits import Limits
from relume.jobs.batches import BatchService
from relume.jobs.figures import Figures
from relume.jobs.janitor import Janitor
from relume.jobs.keys import KeyRing
from relume.jobs.pulse import Pulse
from relume.jobs.recent import RecentFigures
from relume.jobs.runner import Runner
from relume.jobs.service import JobService
from relume.jobs.tallies import MemoryMeters
from relume.outbound import UrlPolicy
from relume.ports import Clock, Queue, Store
from relume.providers.catalog import Catalog
from relume.settings import Settings
from relume.telemetry import logger
from relume.webhooks import WebhookSender
from relume.wiring.database import prepare_tables
from relume.wiring.roles import Role

if TYPE_CHECKING:
    from celery import Celery

log = logger(__name__)

LOOK_AROUND_SECONDS = 5.0
"""How often the folder of weights is listed, which costs a `stat` a file."""


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
        self._spawn(self._look_around_forever())
        if self.webhooks is not None:
            self._spawn(self.webhooks.run_forever())

    async def _check_store(self) -> None:
        try:
            await self.store.check()
        except OSError as error:
            log.error("storage.unusable", storage=self.settings.storage_dir, cause=str(error))  # noqa: TRY400
            raise

    async def _look_around_forever(self) -> None:
        while True:
            await asyncio.sleep(LOOK_AROUND_SECONDS)
            try:
                await self.catalog.refresh()
            except Exception:  # What is known stays good, and the next look may do better.
                log.exception("weights.look_failed")

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
