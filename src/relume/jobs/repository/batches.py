"""The queries on batches: many jobs of one request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Select, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from relume.errors import NotFound
from relume.jobs.models import Batch, IdempotencyKey, Job, JobStatus, column
from relume.jobs.quotas import NO_QUOTA, Quota
from relume.jobs.repository.jobs import KeyTaken
from relume.jobs.repository.statements import rows_changed
from relume.jobs.transactions import Transactions
from relume.jobs.unbroken import unbroken

RETRIED = (JobStatus.FAILED, JobStatus.CANCELLED)
"""How a job may have ended that a retry may replace."""


@unbroken
class BatchRepository:
    """Batches and their places, in SQLite or PostgreSQL."""

    def __init__(self, database: Transactions, quota: Quota = NO_QUOTA) -> None:
        self._database = database
        self._quota = quota

    async def add(self, batch: Batch, jobs: Sequence[Job], key: IdempotencyKey | None = None) -> None:
        """All rows or none. Raises KeyTaken when the idempotency key exists, and QuotaExceeded."""
        try:
            async with self._database.transaction() as session:
                session.add(batch)
                await session.flush()
                session.add_all(jobs)
                await session.flush()
                await session.run_sync(self._take_quota, jobs)
                if key is not None:
                    session.add(key)
        except IntegrityError as error:
            if key is None:
                raise
            raise KeyTaken from error

    async def get(self, batch_id: UUID) -> Batch:
        """Raises NotFound."""
        async with self._database.reading() as session:
            batch = await session.get(Batch, batch_id)
        if batch is None:
            raise NotFound("There is no job with this id.")
        return batch

    async def jobs(self, batch_id: UUID) -> list[Job]:
        """The jobs of a batch in the order of its files."""
        query = select(Job).where(column(Job.batch_id) == batch_id).order_by(column(Job.batch_index))
        async with self._database.reading() as session:
            return list((await session.scalars(query)).all())

    async def waiting_before(self, job: Job) -> int:
        """How many jobs of its lane came before a job and still wait. Counted from indexes.

        The jobs of a batch came at the same moment, and wait in the order of its files.
        """
        ahead = [_waiting(column(Job.lane) == job.lane, column(Job.created_at) < job.created_at)]
        if job.batch_id is not None:
            ahead.append(
                _waiting(column(Job.batch_id) == job.batch_id, column(Job.batch_index) < job.batch_index)
            )
        async with self._database.reading() as session:
            return sum([(await session.execute(query)).scalar_one() for query in ahead])

    async def replace(self, pairs: Sequence[tuple[Job, Job]]) -> list[Job]:
        """Give the places of ended jobs to new ones, in one transaction. Returns the new jobs that got one.

        An old job that has lost its place already, to a retry that was faster, keeps its new one out.
        Raises QuotaExceeded.
        """
        placed = []
        async with self._database.transaction() as session:
            for old, new in pairs:
                unless_taken = (
                    column(Job.id) == old.id,
                    column(Job.batch_id) == new.batch_id,
                    column(Job.status).in_(RETRIED),
                )
                leave = update(Job).where(*unless_taken).values(batch_id=None, batch_index=None)
                if rows_changed(await session.execute(leave)) == 1:
                    session.add(new)
                    await session.flush()
                    placed.append(new)
            await session.run_sync(self._take_quota, placed)
        return placed

    def _take_quota(self, session: Session, jobs: Sequence[Job]) -> None:
        """Files that were refused when they came cost nothing."""
        for job in jobs:
            if job.status is JobStatus.QUEUED:
                self._quota.take(session, job)


def _waiting(*conditions: Any) -> Select[Any]:
    return select(func.count()).where(column(Job.status) == JobStatus.QUEUED, *conditions)
