"""The sign of life of a process: adds what it has counted to the totals, and tells that it is alive."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import uuid4

from relume import __version__
from relume.jobs.figures import Figures
from relume.jobs.models import ProcessRow
from relume.jobs.tallies import MemoryMeters
from relume.ports import Clock
from relume.telemetry import logger

log = logger(__name__)

KINDS = ("api", "worker")
ALIVE = timedelta(seconds=30)
"""A process that was seen within this time counts as alive."""
_FLUSH_SECONDS = 5.0
"""What a killed process loses: at most the counts of this long."""
_SEEN_EVERY = timedelta(seconds=10)
_FORGET = timedelta(hours=1)


class Pulse:
    """One for each process. A database that is away for a while costs no counts: they are added later."""

    def __init__(
        self,
        figures: Figures,
        meters: MemoryMeters,
        clock: Clock,
        *,
        kind: str,
        lanes: Sequence[str],
    ) -> None:
        """`kind` is `api` or `worker`, `lanes` what it works on."""
        self._figures = figures
        self._meters = meters
        self._clock = clock
        self._flushing = asyncio.Lock()
        self._seen_at: datetime | None = None
        now = clock.now()
        self._row = ProcessRow(
            id=uuid4(),
            kind=kind,
            lanes=",".join(lanes),
            host=socket.gethostname()[:100],
            pid=os.getpid(),
            version=__version__,
            started_at=now,
            seen_at=now,
        )

    async def run_forever(self) -> None:
        while True:
            await self.beat()
            await asyncio.sleep(_FLUSH_SECONDS)

    async def beat(self) -> None:
        """One round; a fault is logged, and the next round does what this one could not."""
        try:
            await self.flush()
            await self._sign()
        except Exception as error:  # noqa: BLE001 (figures are a courtesy; jobs are not)
            log.warning("pulse.failed", cause=repr(error))

    async def flush(self) -> None:
        """Add what was counted here to the totals of all processes. Raises what the database raises."""
        async with self._flushing:
            counts = self._meters.take()
            try:
                await self._figures.add(counts)
            except Exception:
                self._meters.put_back(counts)
                raise

    async def stop(self) -> None:
        """The last counts, and the end of this process's row."""
        try:
            await self.flush()
            await self._figures.forget_process(self._row.id)
        except Exception as error:  # noqa: BLE001 (a process that stops cannot wait for the database)
            log.warning("pulse.failed", cause=repr(error))

    async def _sign(self) -> None:
        now = self._clock.now()
        if self._seen_at is not None and now - self._seen_at < _SEEN_EVERY:
            return
        self._row.seen_at = now
        await self._figures.sign_of_life(self._row, now - _FORGET)
        self._seen_at = now
