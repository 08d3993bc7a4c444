"""A Celery worker whose tasks run in an event loop that is not its own."""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import socket
import threading
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

from celery import Celery, signals

from relume.loops import LoopThread
from relume.queues.celery_app import TASK, queue_name
from relume.telemetry import logger

log = logger(__name__)


class CeleryWorker:
    """Takes ids of one lane from the broker, `places` at once, and has each run by `run` in `loop`.

    A thread of Celery's pool waits for each run: it costs little, and the loop serves them all. Told to stop
    (SIGTERM, SIGINT), it takes no more ids and gives the running jobs `stop_seconds`; then their tasks are
    cancelled, which gives them back.
    """

    def __init__(
        self,
        app: Celery,
        lane: str,
        places: int,
        run: Callable[[UUID], Awaitable[None]],
        loop: LoopThread,
        *,
        prefix: str,
        stop_seconds: float,
    ) -> None:
        self._app = app
        self._queue = queue_name(prefix, lane)
        self._name = f"{lane}-{threading.get_native_id()}@{socket.gethostname()}"
        self._places = places
        self._run = run
        self._loop = loop
        self._stop_seconds = stop_seconds
        self._running: set[asyncio.Task[Any]] = set()
        self._stopping = False
        self._given_back = False

    def work(self) -> int:
        """Work until a signal says stop. Call in the main thread: Celery handles the signals there.

        Gives the exit code: not 0 when it ended by a fault of its own, which a lost broker can bring about.
        """
        self._app.task(self._task, name=TASK, shared=False)
        signals.worker_shutting_down.connect(self._shutting_down)
        signals.setup_logging.connect(_keep_logging)
        worker = self._app.Worker(
            hostname=self._name,
            pool="threads",
            concurrency=self._places,
            queues=[self._queue],
            task_events=True,
            without_mingle=True,
            without_gossip=True,
            quiet=True,
        )
        log.info("worker.started", queue=self._queue, places=self._places)
        try:
            worker.start()
        finally:
            self._loop.submit(self._give_back()).result()
        log.info("worker.stopped", queue=self._queue)
        return int(worker.exitcode or 0)

    def _task(self, job_id: str) -> None:
        try:
            self._loop.submit(self._whole(UUID(job_id))).result()
        except concurrent.futures.CancelledError:
            pass  # It was given back; the sweep of any process finds it.
        except Exception as error:  # noqa: BLE001 (the job is safe in the database; the sweep repeats its id)
            log.warning("worker.put_off", job_id=job_id, cause=type(error).__name__)

    async def _whole(self, job_id: UUID) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101
        if self._given_back:
            return
        self._running.add(task)
        try:
            await self._run(job_id)
        finally:
            self._running.discard(task)

    def _shutting_down(self, **_: Any) -> None:
        """In a signal handler: only begin something here."""
        if not self._stopping:
            self._stopping = True
            timer = threading.Timer(self._stop_seconds, lambda: self._loop.submit(self._give_back()))
            timer.daemon = True
            timer.start()

    async def _give_back(self) -> None:
        """Stop what still runs, and wait until it has let go of its jobs."""
        self._given_back = True
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


def _keep_logging(**_: Any) -> None:
    """Connected to Celery's signal, it keeps Celery from setting up logs of its own."""
    logging.getLogger("celery").propagate = True
