"""Events between processes: whoever watches a job hears of it, whichever process runs it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any
from uuid import UUID

from relume.ports import JobEvent
from relume.queues.events import QUIET_SECONDS, MemoryEvents
from relume.queues.redis_bus import RedisBus


class RedisEvents:
    """Keeps the promises of `ports.Events` for all processes on one Redis, by a channel for each watched job.

    Watchers in this process are told directly, with or without Redis.
    """

    def __init__(self, bus: RedisBus, quiet_seconds: float = QUIET_SECONDS) -> None:
        self._bus = bus
        self._here = MemoryEvents(quiet_seconds)
        self._watchers: dict[UUID, int] = {}

    def publish(self, event: JobEvent) -> None:
        """Of progress within a step that could not be sent yet, only the latest is."""
        self._here.publish(event)
        message = {
            "job": str(event.job_id),
            "status": str(event.status),
            "progress": event.progress,
            "step": event.step,
        }
        self._bus.send(_channel(event.job_id), message, key=(event.job_id, str(event.status), event.step))

    async def subscribe(self, job_id: UUID) -> AsyncGenerator[JobEvent | None, None]:
        await self._join(job_id)
        try:
            async with aclosing(self._here.subscribe(job_id)) as events:
                async for event in events:
                    yield event
        finally:
            await self._leave(job_id)

    async def _join(self, job_id: UUID) -> None:
        self._watchers[job_id] = self._watchers.get(job_id, 0) + 1
        if self._watchers[job_id] == 1:
            await self._bus.listen(_channel(job_id), self._hear)

    async def _leave(self, job_id: UUID) -> None:
        self._watchers[job_id] -= 1
        if self._watchers[job_id] == 0:
            del self._watchers[job_id]
            await self._bus.unlisten(_channel(job_id))

    def _hear(self, told: dict[str, Any]) -> None:
        self._here.publish(JobEvent(UUID(told["job"]), told["status"], told["progress"], told["step"]))


def _channel(job_id: UUID) -> str:
    return f"job:{job_id}"
