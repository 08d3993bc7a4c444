"""How a wish to cancel reaches the worker of a running job at once, not only with its next heartbeat."""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict
from uuid import UUID

from relume.jobs.models import JobStatus
from relume.ports import Events, JobEvent

_WISHES = UUID(int=0)
"""What wishes are published under: no job's id, so that one subscription hears of all jobs and of nothing else."""


def wish(job_id: UUID) -> JobEvent:
    return JobEvent(_WISHES, JobStatus.RUNNING, 0.0, step=str(job_id))


class CancelListener:
    """Listens for all jobs of a runner in one task, while any of them runs."""

    def __init__(self, events: Events) -> None:
        self._events = events
        self._running: dict[str, set[threading.Event]] = defaultdict(set)
        self._task: asyncio.Task[None] | None = None

    def join(self, job_id: UUID, cancelled: threading.Event) -> None:
        """Set `cancelled` when somebody wishes the job cancelled, until `leave`."""
        self._running[str(job_id)].add(cancelled)
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._listen(), name="cancels")

    def leave(self, job_id: UUID, cancelled: threading.Event) -> None:
        of_this_job = self._running[str(job_id)]
        of_this_job.discard(cancelled)
        if not of_this_job:
            del self._running[str(job_id)]
        if not self._running and self._task is not None:
            self._task.cancel()
            self._task = None

    async def _listen(self) -> None:
        async for event in self._events.subscribe(_WISHES):
            for cancelled in self._running.get(str(event.step), ()) if event else ():
                cancelled.set()
