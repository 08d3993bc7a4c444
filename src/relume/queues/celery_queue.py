"""The queue of many processes: Celery carries the ids, over Redis or RabbitMQ."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from uuid import UUID

from celery import Celery
from kombu.exceptions import ChannelError

from relume.queues.celery_app import queue_name
from relume.queues.celery_publisher import Publisher
from relume.telemetry import logger

log = logger(__name__)

Sweep = Callable[[], Awaitable[list[tuple[UUID, str]]]]


class CeleryQueue:
    """Keeps the promises of `ports.Queue`: it may lose ids, and repeats those that the sweep finds.

    Runs no job itself: that is what `relume worker` is for. Every process sweeps, so that any one is enough.
    """

    def __init__(self, app: Celery, prefix: str, *, sweep_seconds: float) -> None:
        self._app = app
        self._prefix = prefix
        self._sweep: Sweep | None = None
        self._sweep_seconds = sweep_seconds
        self._publisher = Publisher(app, prefix)
        self._task: asyncio.Task[None] | None = None

    def sweep_with(self, sweep: Sweep) -> None:
        """Repeat what `sweep` says is overdue, every few seconds from the start on."""
        self._sweep = sweep

    def enqueue(self, job_id: UUID, lane: str) -> None:
        self._publisher.put(job_id, lane)

    async def start(self) -> None:
        self._publisher.start()
        self._task = asyncio.create_task(self._sweep_forever(), name="sweep")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await asyncio.to_thread(self._publisher.stop)
        await asyncio.to_thread(self._app.close)

    async def depth(self, lane: str) -> int:
        """How many ids of a lane wait in the broker. Raises whatever its transport raises."""
        return await asyncio.to_thread(self._depth, lane)

    def _depth(self, lane: str) -> int:
        with self._app.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, timeout=2)
            try:
                declared = connection.default_channel.queue_declare(
                    queue_name(self._prefix, lane), passive=True
                )
            except (ChannelError, *connection.channel_errors):
                return 0  # Nobody has used it yet, or the broker has forgotten it.
            return int(declared.message_count)

    async def _sweep_forever(self) -> None:
        while self._sweep is not None:
            try:
                for job_id, lane in await self._sweep():
                    self.enqueue(job_id, lane)
            except Exception as error:  # noqa: BLE001 (the database or the broker is away; the next round may do)
                log.warning("queue.sweep_failed", cause=type(error).__name__)
            await asyncio.sleep(self._sweep_seconds * random.uniform(0.8, 1.2))  # noqa: S311 (not all at once)
