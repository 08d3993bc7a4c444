"""The queue of one process: workers are tasks of its own event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from uuid import UUID

from relume.telemetry import logger

log = logger(__name__)

Sweep = Callable[[], Awaitable[list[tuple[UUID, str]]]]


class EmbeddedQueue:
    """Runs jobs in this process: `places[lane]` of a lane at once.

    Ids wait in memory only. What a stop or a crash loses is found again by the sweep, which asks the database
    for what is due at start and every few seconds after. Suitable for one process a machine; several may
    share a database, for the lease decides who runs a job.
    """

    def __init__(
        self,
        run: Callable[[UUID], Awaitable[None]],
        sweep: Sweep,
        *,
        places: dict[str, int],
        sweep_seconds: float,
    ) -> None:
        self._run = run
        self._sweep = sweep
        self._sweep_seconds = sweep_seconds
        self._places = places
        self._waiting: dict[str, asyncio.Queue[UUID]] = {lane: asyncio.Queue() for lane in places}
        self._known: set[UUID] = set()
        self._tasks: list[asyncio.Task[None]] = []

    def enqueue(self, job_id: UUID, lane: str) -> None:
        if job_id not in self._known:
            self._known.add(job_id)
            self._waiting[lane].put_nowait(job_id)

    async def start(self) -> None:
        self._tasks = [
            asyncio.create_task(self._work(lane), name=f"worker {lane} {place}")
            for lane, places in self._places.items()
            for place in range(places)
        ]
        self._tasks.append(asyncio.create_task(self._sweep_forever(), name="sweep"))

    async def stop(self) -> None:
        """Stop at the next step of each running job; their leases are given back."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    async def _work(self, lane: str) -> None:
        while True:
            job_id = await self._waiting[lane].get()
            try:
                await self._run(job_id)
            except Exception:
                log.exception("queue.fault", job_id=str(job_id))
            finally:
                self._known.discard(job_id)

    async def _sweep_forever(self) -> None:
        while True:
            try:
                for job_id, lane in await self._sweep():
                    self.enqueue(job_id, lane)
            except Exception as error:  # noqa: BLE001 (the database is away; the next round may do)
                log.warning("queue.sweep_failed", cause=type(error).__name__)
            await asyncio.sleep(self._sweep_seconds)
