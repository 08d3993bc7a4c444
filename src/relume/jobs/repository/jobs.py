"""Jobs: accepted, read, listed and cancelled. What else is asked of them, the attributes answer."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from relume.errors import NotFound
from relume.jobs.listing import JobFilter
from relume.jobs.models import AttemptRow, IdempotencyKey, Job, JobStatus, UsageDay, WebhookDelivery, column
from relume.jobs.quotas import NO_QUOTA, Quota, usage_key
from relume.jobs.repository.deliveries import ADD_DELIVERY, Deliveries
from relume.jobs.repository.due import DueJobs
from relume.jobs.repository.files import JobFiles
from relume.jobs.repository.leases import Leases
from relume.jobs.repository.retention import Retention
from relume.jobs.repository.statements import PLAIN, rows_changed, table_of, values_of
from relume.jobs.transactions import Transactions
from relume.jobs.unbroken import unbroken


class KeyTaken(Exception):
    """Another request has just used the same idempotency key."""


@unbroken
class JobRepository:
    """Jobs, in SQLite or PostgreSQL; as attributes, a repository for each of those who work on them."""

    def __init__(self, database: Transactions, quota: Quota = NO_QUOTA) -> None:
        self._database = database
        self._quota = quota
        self.due = DueJobs(database)
        self.leases = Leases(database, quota)
        self.files = JobFiles(database)
        self.retention = Retention(database)
        self.deliveries = Deliveries(database)

    async def add(self, job: Job, key: IdempotencyKey | None = None) -> None:
        """Raises KeyTaken when the idempotency key exists, and QuotaExceeded; then nothing was counted."""
        values, key_values = values_of(job), values_of(key) if key else None

        def work(session: Session) -> None:
            session.execute(_ADD_JOB, values)
            self._quota.take(session, job)
            if key_values is not None:
                session.execute(_ADD_KEY, key_values)

        try:
            await self._database.write(work, str(job.id))
        except IntegrityError as error:
            if key is None:
                raise
            raise KeyTaken from error

    async def check_quota(self, client: str | None, now: datetime) -> None:
        """Raises QuotaExceeded for a client that has nothing left today."""
        if self._quota.applies_to(client):
            async with self._database.reading() as session:
                used = await session.get(UsageDay, usage_key(client, now))
            self._quota.check(used, now)

    async def key(self, scope: str, key: str) -> IdempotencyKey | None:
        return await self._database.read(lambda session: session.get(IdempotencyKey, (scope, key)))

    async def get(self, job_id: UUID) -> Job:
        """Raises NotFound."""
        job: Job | None = await self._database.read(lambda session: session.scalar(_JOB, {"id": job_id}))
        if job is None:
            raise NotFound("There is no job with this id.")
        return job

    async def get_many(self, job_ids: Sequence[UUID]) -> list[Job]:
        """Those of these jobs that exist."""
        async with self._database.reading() as session:
            return list((await session.scalars(select(Job).where(column(Job.id).in_(job_ids)))).all())

    async def page(self, shown: JobFilter, *, limit: int, offset: int) -> tuple[int, list[Job]]:
        """How many jobs a list shows, and a page of them, the newest first."""
        chosen = shown.conditions()
        number = select(func.count()).select_from(Job).where(*chosen)
        newest = select(Job).where(*chosen).order_by(column(Job.created_at).desc(), column(Job.id).desc())
        async with self._database.reading() as session:
            total = (await session.execute(number)).scalar_one()
            return total, list((await session.scalars(newest.limit(limit).offset(offset))).all())

    async def counts(self) -> dict[str, int]:
        """How many jobs are in each state."""
        query = select(column(Job.status), func.count()).group_by(column(Job.status))
        async with self._database.reading() as session:
            return {str(status): number for status, number in (await session.execute(query)).all()}

    async def same_result(self, cache_key: str) -> Job | None:
        """The latest job whose result is kept and would be the same. Results of a fallback do not count."""
        return await self._database.read(lambda session: session.scalar(_SAME_RESULT, {"key": cache_key}))

    async def attempts(self, job_id: UUID) -> list[AttemptRow]:
        query = select(AttemptRow).where(column(AttemptRow.job_id) == job_id).order_by(column(AttemptRow.id))
        async with self._database.reading() as session:
            return list((await session.scalars(query)).all())

    async def attempt_counts(self, job_ids: Sequence[UUID]) -> dict[UUID, int]:
        """How many attempts each of these jobs has made; those without any are left out."""
        job_id = column(AttemptRow.job_id)
        query = select(job_id, func.count()).where(job_id.in_(job_ids)).group_by(job_id)
        async with self._database.reading() as session:
            return {row[0]: row[1] for row in (await session.execute(query)).all()}

    async def cancel_queued(self, job_id: UUID, delivery: WebhookDelivery | None, **values: Any) -> bool:
        """End a job that nobody has claimed yet. Whether it was so."""
        waiting = (column(Job.id) == job_id, column(Job.status) == JobStatus.QUEUED)
        ended = update(Job).where(*waiting).values(**values).execution_options(**PLAIN)
        delivery_values = values_of(delivery) if delivery else None

        def work(session: Session) -> bool:
            was_waiting = rows_changed(session.execute(ended)) == 1
            if was_waiting and delivery_values is not None:
                session.execute(ADD_DELIVERY, delivery_values)
            return was_waiting

        return await self._database.write(work, str(job_id))

    async def request_cancel(self, job_id: UUID) -> bool:
        """Ask the worker of a running job to stop. Whether it was running."""
        running = (column(Job.id) == job_id, column(Job.status) == JobStatus.RUNNING)
        asked = update(Job).where(*running).values(cancel_requested=True).execution_options(**PLAIN)
        return await self._database.write(
            lambda session: rows_changed(session.execute(asked)) == 1, str(job_id)
        )


# Statements of every job, made once: to build one anew costs as much as to execute it.

_JOB = select(Job).where(column(Job.id) == bindparam("id"))
_ADD_JOB, _ADD_KEY = insert(table_of(Job)), insert(table_of(IdempotencyKey))
_SAME_RESULT = (
    select(Job)
    .where(
        column(Job.cache_key) == bindparam("key"),
        column(Job.status) == JobStatus.SUCCEEDED,
        column(Job.outcome).in_(("restored", "unchanged")),
        column(Job.files_deleted_at).is_(None),
        column(Job.staged_key).is_(None),
    )
    .order_by(column(Job.finished_at).desc())
    .limit(1)
)
