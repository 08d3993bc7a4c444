"""One process that works on the jobs of one lane, and its supervision by another."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from types import FrameType

from sqlalchemy.exc import DBAPIError

from relume.loops import LoopThread
from relume.queues.celery_worker import CeleryWorker
from relume.settings import Settings
from relume.telemetry import configure_logging, logger
from relume.wiring.build import build_services
from relume.wiring.roles import LOCAL_PLACES

log = logger(__name__)

PARENT_VARIABLE = "RELUME_WORKER_PARENT"
"""Set for a child by its supervisor: the process id that it does not outlive."""
_LOOK_SECONDS = 0.5
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.5, 30.0
_HEALTHY_SECONDS = 30.0
"""A child that lived so long was no failure to start: the next pause is short again."""
_EXTRA_STOP_SECONDS = 15.0


def is_supervised() -> bool:
    return PARENT_VARIABLE in os.environ


def work(settings: Settings, lane: str, places: int | None) -> int:
    """Run the jobs of one lane in this process until a signal says stop. Gives the exit code.

    Raises SettingsError.
    """
    configure_logging(settings.log_level)
    _end_with_parent()
    services = build_services(settings, "worker", (lane,))
    assert services.celery is not None  # noqa: S101 (a worker has it)
    loop = LoopThread()
    try:
        loop.submit(services.start()).result()
        return CeleryWorker(
            services.celery,
            lane,
            places or (settings.worker_concurrency if lane == "hosted" else LOCAL_PLACES),
            services.runner.run,
            loop,
            prefix=settings.queue_prefix,
            stop_seconds=settings.worker_stop_seconds,
        ).work()
    except (DBAPIError, OSError) as error:
        log.error("worker.not_started", cause=type(error).__name__)  # noqa: TRY400 (a sentence is enough)
        return 1
    finally:
        loop.submit(services.stop()).result()
        loop.close()


@dataclass(slots=True)
class _Child:
    lane: str
    process: subprocess.Popen[bytes]
    started: float
    pause_seconds: float = _FIRST_PAUSE_SECONDS


class Supervisor:
    """Keeps one process for each lane alive, and stops them with itself.

    A process for each, for a photo that is being restored here must not keep hosted jobs waiting for the
    interpreter; and a process above them, for one can end by a fault: of a codec, or of a library below.
    """

    def __init__(self, lanes: tuple[str, ...], concurrency: int | None, stop_seconds: float) -> None:
        self._lanes = lanes
        self._concurrency = concurrency
        self._stop_seconds = stop_seconds
        self._stop = threading.Event()

    def run(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._signalled)
        children = [self._start(lane) for lane in self._lanes]
        try:
            while not self._stop.wait(_LOOK_SECONDS):
                for child in children:
                    self._look_after(child)
        finally:
            self._end(children)

    def _signalled(self, _number: int, _frame: FrameType | None) -> None:
        self._stop.set()

    def _start(self, lane: str) -> _Child:
        command = [sys.executable, "-m", "relume", "worker", "--lanes", lane]
        if self._concurrency is not None and (lane == "hosted" or self._lanes == (lane,)):
            command += ["--concurrency", str(self._concurrency)]
        environment = os.environ | {PARENT_VARIABLE: str(os.getpid())}
        process = subprocess.Popen(command, env=environment)  # noqa: S603 (our own program)
        return _Child(lane, process, time.monotonic())

    def _look_after(self, child: _Child) -> None:
        code = child.process.poll()
        if code is None:
            return
        lived = time.monotonic() - child.started
        pause = _FIRST_PAUSE_SECONDS if lived >= _HEALTHY_SECONDS else child.pause_seconds
        log.warning("worker.died", lane=child.lane, exit_code=code, again_in_seconds=pause)
        if not self._stop.wait(pause):
            fresh = self._start(child.lane)
            child.process, child.started = fresh.process, fresh.started
            child.pause_seconds = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    def _end(self, children: list[_Child]) -> None:
        for child in children:
            if child.process.poll() is None:
                child.process.terminate()
        deadline = time.monotonic() + self._stop_seconds + _EXTRA_STOP_SECONDS
        for child in children:
            try:
                child.process.wait(max(deadline - time.monotonic(), 0.1))
            except subprocess.TimeoutExpired:
                child.process.kill()
                child.process.wait()


def _end_with_parent() -> None:
    """Stop when the supervisor is gone, however it went. By looking: that works on every system."""
    parent = os.environ.get(PARENT_VARIABLE)
    if parent is None or not hasattr(os, "getppid"):
        return

    def watch() -> None:
        while os.getppid() == int(parent):
            time.sleep(_LOOK_SECONDS)
        log.warning("worker.orphaned")
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="parent watch", daemon=True).start()
