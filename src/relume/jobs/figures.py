"""Every query on what all processes have counted, on the processes themselves, and on how full the queue is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, delete, func, select

from relume.jobs.models import Job, JobStatus, ProcessRow, Tally, column
from relume.jobs.tallies import TallyKey
from relume.jobs.transactions import Transactions
from relume.jobs.unbroken import unbroken
from relume.jobs.upsert import upsert


@dataclass(frozen=True, slots=True)
class LaneLoad:
    """What waits and what runs in one lane."""

    waiting: int = 0
    oldest_since: datetime | None = None
    """When the oldest waiting job was accepted."""
    running: int = 0


@unbroken
class Figures:
    """Small tables and indexed queries only: nothing here gets slower with the number of ended jobs."""

    def __init__(self, database: Transactions) -> None:
        self._database = database

    async def add(self, counts: dict[TallyKey, float]) -> None:
        """Add to the totals of all processes, in one statement."""
        if not counts:
            return
        # In one order for all, so that two processes never wait for each other's rows.
        rows = [
            {"name": name, "labels": labels, "value": value}
            for (name, labels), value in sorted(counts.items())
        ]
        async with self._database.transaction() as session:
            insert = upsert(session, Tally).values(rows)
            total = column(Tally.value) + insert.excluded.value
            await session.execute(
                insert.on_conflict_do_update(index_elements=["name", "labels"], set_={"value": total})
            )

    async def totals(self) -> dict[TallyKey, float]:
        query = select(column(Tally.name), column(Tally.labels), column(Tally.value))
        async with self._database.reading() as session:
            rows = (await session.execute(query)).all()
        return {(name, labels): value for name, labels, value in rows}

    async def lanes(self) -> dict[str, LaneLoad]:
        async with self._database.reading() as session:
            waiting = (await session.execute(waiting_query())).all()
            running = (await session.execute(running_query())).all()
        loads = {lane: LaneLoad(waiting=number, oldest_since=oldest) for lane, number, oldest in waiting}
        for lane, number in running:
            loads[lane] = replace(loads.get(lane, LaneLoad()), running=number)
        return loads

    async def sign_of_life(self, row: ProcessRow, forget_before: datetime) -> None:
        """Write down that a process is alive; forget those that were not seen since `forget_before`."""
        values = row.model_dump()
        changing = {name: value for name, value in values.items() if name != "id"}
        async with self._database.transaction() as session:
            insert = upsert(session, ProcessRow).values(values)
            await session.execute(insert.on_conflict_do_update(index_elements=["id"], set_=changing))
            await session.execute(delete(ProcessRow).where(column(ProcessRow.seen_at) < forget_before))

    async def forget_process(self, process_id: UUID) -> None:
        async with self._database.transaction() as session:
            await session.execute(delete(ProcessRow).where(column(ProcessRow.id) == process_id))

    async def processes(self, seen_since: datetime) -> list[ProcessRow]:
        query = select(ProcessRow).where(column(ProcessRow.seen_at) >= seen_since)
        async with self._database.reading() as session:
            return list((await session.scalars(query)).all())


def waiting_query() -> Select[Any]:
    """Lane, number and acceptance of the oldest, of what waits. Reads the index's waiting part only."""
    oldest = func.min(column(Job.created_at))
    return _by_lane(JobStatus.QUEUED, oldest)


def running_query() -> Select[Any]:
    return _by_lane(JobStatus.RUNNING)


def _by_lane(status: JobStatus, *more: Any) -> Select[Any]:
    return (
        select(column(Job.lane), func.count(), *more)
        .where(column(Job.status) == status)
        .group_by(column(Job.lane))
    )
