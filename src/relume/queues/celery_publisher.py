"""Hands job ids to the broker from a thread of its own, so that no request ever waits for it."""

from __future__ import annotations

import queue
import threading
from contextlib import suppress
from uuid import UUID

from celery import Celery
from kombu.exceptions import KombuError

from relume.queues.celery_app import TASK, queue_name
from relume.telemetry import logger

log = logger(__name__)

_PLACES = 50_000
_RETRIES = {"max_retries": 2, "interval_start": 0.1, "interval_step": 0.3, "interval_max": 0.5}
_STOP_SECONDS = 5.0


class Publisher:
    """Sends what it is given, in order, and drops what cannot be sent: the sweep hands it over again."""

    def __init__(self, app: Celery, prefix: str) -> None:
        self._app = app
        self._prefix = prefix
        self._waiting: queue.Queue[tuple[UUID, str] | None] = queue.Queue(_PLACES)
        self._thread = threading.Thread(target=self._work, name="publisher", daemon=True)
        self._dropped = 0

    def start(self) -> None:
        self._thread.start()

    def put(self, job_id: UUID, lane: str) -> None:
        """Never blocks, never raises."""
        try:
            self._waiting.put_nowait((job_id, lane))
        except queue.Full:
            self._drop("more ids wait than are kept")

    def stop(self) -> None:
        """Blocks until what was given before is sent or dropped, a few seconds at most."""
        if self._thread.is_alive():
            with suppress(queue.Full):
                self._waiting.put_nowait(None)
            self._thread.join(_STOP_SECONDS)

    def _work(self) -> None:
        while (given := self._waiting.get()) is not None:
            self._send(*given)

    def _send(self, job_id: UUID, lane: str) -> None:
        try:
            self._app.send_task(
                TASK,
                args=(str(job_id),),
                queue=queue_name(self._prefix, lane),
                retry=True,
                retry_policy=_RETRIES,
                ignore_result=self._app.conf.task_ignore_result,
            )
        except Exception as error:  # noqa: BLE001 (each transport raises its own; all mean the same)
            self._drop(_cause(error))
        else:
            self._sent()

    def _drop(self, cause: str) -> None:
        """One line when it begins, one when it is over: not one for each id."""
        if self._dropped == 0:
            log.warning("queue.broker_away", cause=cause)
        self._dropped += 1

    def _sent(self) -> None:
        if self._dropped:
            log.info("queue.broker_back", dropped=self._dropped)
            self._dropped = 0


def _cause(error: Exception) -> str:
    """The first line of what went wrong; a broker's URL, which may hold a password, stands in none of them."""
    behind = error.__cause__ if isinstance(error, KombuError) and error.__cause__ else error
    return type(behind).__name__
