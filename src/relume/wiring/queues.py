"""How jobs get to workers, and how processes hear of each other."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from relume.jobs.repository.due import DueJobs
from relume.jobs.runner import Runner
from relume.jobs.sweep import Sweep
from relume.ports import BreakerNews, Clock, Events, NoBreakerNews, Queue
from relume.queues.embedded import EmbeddedQueue
from relume.queues.events import MemoryEvents
from relume.settings import Settings
from relume.wiring.roles import LANES, LOCAL_PLACES, Role
from relume.wiring.services import Part

if TYPE_CHECKING:
    from celery import Celery

_SWEEPS_UNTIL_LATE = 12
"""After so many rounds of the sweep, an id that was handed to the broker and not taken may be lost."""


@dataclass(frozen=True, slots=True)
class Links:
    """How a process hears from others, and is heard."""

    events: Events
    news: BreakerNews
    parts: tuple[Part, ...] = ()


def build_links(settings: Settings) -> Links:
    if settings.redis_url is None:
        return Links(MemoryEvents(), NoBreakerNews())
    from relume.queues.redis_bus import RedisBus
    from relume.queues.redis_events import RedisEvents
    from relume.queues.redis_news import RedisBreakerNews

    bus = RedisBus(settings.redis_url, settings.queue_prefix)
    news = RedisBreakerNews(bus)
    return Links(RedisEvents(bus), news, (bus,))


def build_queue(
    settings: Settings, role: Role, due: DueJobs, clock: Clock, runner: Runner
) -> tuple[Celery | None, Queue]:
    """The queue of a role. Celery is loaded only where a broker is configured."""
    if role == "all":
        return None, EmbeddedQueue(
            runner.run,
            lambda: due.ids(clock.now()),
            places={"local": LOCAL_PLACES, "hosted": settings.worker_concurrency},
            sweep_seconds=settings.sweep_seconds,
        )
    from relume.queues.celery_app import make_app
    from relume.queues.celery_queue import CeleryQueue

    app = make_app(settings, LANES)
    queue = CeleryQueue(app, settings.queue_prefix, sweep_seconds=settings.sweep_seconds)
    patience = timedelta(seconds=_SWEEPS_UNTIL_LATE * settings.sweep_seconds)
    queue.sweep_with(Sweep(due, clock, queue.depth, patience).overdue)
    return app, queue
