"""Finds the jobs that a queue has lost, so that it may lose any."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from uuid import UUID

from relume.jobs.repository.due import Backlog, DueJobs
from relume.ports import Clock

_AT_ONCE = 1000
"""Ids of one lane in one round: more of them follow in the next."""


class Sweep:
    """Says which ids are to be handed to the queue. Cheap, and safe to run in any number of processes.

    A job that became due since its id was last handed over (put back, or its worker died) is named at once. One
    whose id was handed over more than `patience` ago is named only if the queue holds fewer ids than jobs
    wait: a long backlog is not a loss.
    """

    def __init__(
        self,
        due: DueJobs,
        clock: Clock,
        depth: Callable[[str], Awaitable[int]],
        patience: timedelta,
    ) -> None:
        self._due = due
        self._clock = clock
        self._depth = depth
        self._patience = patience

    async def overdue(self) -> list[tuple[UUID, str]]:
        """Ids and lanes. Each is given to one caller, and then to nobody for a while."""
        now = self._clock.now()
        late = now - self._patience
        found: list[tuple[UUID, str]] = []
        for backlog in await self._due.backlogs(now, late):
            wanted = min(backlog.fresh + await self._lost(backlog), _AT_ONCE)
            if wanted:
                ids = await self._due.hand_out(backlog.lane, now, late, wanted)
                found += [(job_id, backlog.lane) for job_id in ids]
        return found

    async def _lost(self, backlog: Backlog) -> int:
        """How many ids the queue should hold and does not, of those that had their time."""
        if backlog.late == 0:
            return 0
        missing = backlog.jobs - backlog.fresh - await self._depth(backlog.lane)
        return max(min(backlog.late, missing), 0)
