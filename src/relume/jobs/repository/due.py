"""The jobs that anybody may claim, and handing them to the queue: each id to one caller."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import and_, case, func, not_, or_, select, update

from relume.jobs.models import Job, JobStatus, column
from relume.jobs.transactions import Transactions
from relume.jobs.unbroken import unbroken


@dataclass(frozen=True, slots=True)
class Backlog:
    """The jobs of one lane that anybody may claim now."""

    lane: str
    jobs: int
    fresh: int
    """Of them, those whose id was not handed to the queue since they last became due."""
    late: int
    """Of them, those whose id was handed to the queue, but long ago."""


@unbroken
class DueJobs:
    """Queued jobs whose time has come, and running ones whose lease has run out."""

    def __init__(self, database: Transactions) -> None:
        self._database = database

    async def ids(self, now: datetime, limit: int = 1000) -> list[tuple[UUID, str]]:
        """Ids and lanes of jobs that anybody may claim now, oldest first."""
        query = (
            select(column(Job.id), column(Job.lane))
            .where(claimable(now))
            .order_by(column(Job.created_at))
            .limit(limit)
        )
        async with self._database.reading() as session:
            return [(job_id, lane) for job_id, lane in (await session.execute(query)).all()]

    async def backlogs(self, now: datetime, late: datetime) -> list[Backlog]:
        """What waits in each lane. `late`: an id that was handed to the queue before then may be lost."""
        columns = (
            column(Job.lane),
            func.count(),
            func.coalesce(func.sum(case((_fresh(), 1), else_=0)), 0),
            func.coalesce(func.sum(case((_late(late), 1), else_=0)), 0),
        )
        query = select(*columns).where(claimable(now)).group_by(column(Job.lane))
        async with self._database.reading() as session:
            return [Backlog(*row) for row in (await session.execute(query)).all()]

    async def hand_out(self, lane: str, now: datetime, late: datetime, limit: int) -> list[UUID]:
        """Mark up to `limit` jobs as handed to the queue now, fresh ones first, and give their ids.

        Many processes may ask at once: each id goes to one of them.
        """
        due = (
            select(column(Job.id))
            .where(column(Job.lane) == lane, claimable(now), or_(_fresh(), _late(late)))
            .order_by(case((_fresh(), 0), else_=1), column(Job.created_at))
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        mark = update(Job).where(column(Job.id).in_(due)).values(enqueued_at=now).returning(column(Job.id))
        async with self._database.transaction() as session:
            return list((await session.scalars(mark)).all())


def claimable(now: Any) -> Any:
    """The condition of a job that anybody may claim at `now`, a moment or a bound parameter."""
    waiting = and_(column(Job.status) == JobStatus.QUEUED, column(Job.available_at) <= now)
    abandoned = and_(column(Job.status) == JobStatus.RUNNING, column(Job.lease_until) < now)
    return or_(waiting, abandoned)


def _fresh() -> Any:
    """Of claimable jobs: not handed to the queue since it became due."""
    handed = column(Job.enqueued_at)
    return or_(
        handed.is_(None), and_(column(Job.status) == JobStatus.RUNNING, handed <= column(Job.lease_until))
    )


def _late(moment: datetime) -> Any:
    return and_(not_(_fresh()), column(Job.enqueued_at) < moment)
