"""Events within one process. Not suitable for more than one: a watcher elsewhere sees changes by polling."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator
from uuid import UUID

from relume.ports import JobEvent

QUIET_SECONDS = 2.0
"""After this long without an event a watcher is woken, to look at the database."""
_BACKLOG = 64


class MemoryEvents:
    """Keeps the promises of `ports.Events` by one bounded queue a watcher. A slow watcher loses old events."""

    def __init__(self, quiet_seconds: float = QUIET_SECONDS) -> None:
        self._quiet_seconds = quiet_seconds
        self._watchers: dict[UUID, set[asyncio.Queue[JobEvent]]] = defaultdict(set)

    def publish(self, event: JobEvent) -> None:
        for watcher in self._watchers.get(event.job_id, ()):
            if watcher.full():
                watcher.get_nowait()
            watcher.put_nowait(event)

    async def subscribe(self, job_id: UUID) -> AsyncGenerator[JobEvent | None, None]:
        mine: asyncio.Queue[JobEvent] = asyncio.Queue(maxsize=_BACKLOG)
        self._watchers[job_id].add(mine)
        try:
            while True:
                yield await self._next(mine)
        finally:
            self._watchers[job_id].discard(mine)
            if not self._watchers[job_id]:
                del self._watchers[job_id]

    async def _next(self, mine: asyncio.Queue[JobEvent]) -> JobEvent | None:
        """Not by `asyncio.wait_for`: before Python 3.12 it can swallow a cancellation."""
        try:
            async with asyncio.timeout(self._quiet_seconds):
                return await mine.get()
        except TimeoutError:
            return None
