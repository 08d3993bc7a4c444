"""Deleting rows that have had their time."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import delete, select

from relume.jobs.models import ENDED, Batch, IdempotencyKey, Job, UsageDay, column
from relume.jobs.repository.statements import rows_changed
from relume.jobs.transactions import Transactions
from relume.jobs.unbroken import unbroken


@unbroken
class Retention:
    """Ended jobs, empty batches, idempotency keys and usage of before a moment."""

    def __init__(self, database: Transactions) -> None:
        self._database = database

    async def delete_ended_before(self, moment: datetime, limit: int = 500) -> int:
        """Delete up to `limit` ended jobs that came before `moment`, with what belongs to them. Returns how many."""
        old = (
            select(column(Job.id))
            .where(column(Job.created_at) < moment, column(Job.status).in_(ENDED))
            .limit(limit)
        )
        async with self._database.transaction() as session:
            return rows_changed(await session.execute(delete(Job).where(column(Job.id).in_(old))))

    async def delete_empty_batches_before(self, moment: datetime) -> int:
        """Delete batches that came before `moment` and have no job any more. Returns how many."""
        is_empty = ~select(Job).where(column(Job.batch_id) == column(Batch.id)).exists()
        async with self._database.transaction() as session:
            return rows_changed(
                await session.execute(delete(Batch).where(column(Batch.created_at) < moment, is_empty))
            )

    async def delete_keys_before(self, moment: datetime) -> int:
        """Forget idempotency keys of earlier than `moment`. Returns how many."""
        query = delete(IdempotencyKey).where(column(IdempotencyKey.created_at) < moment)
        async with self._database.transaction() as session:
            return rows_changed(await session.execute(query))

    async def delete_usage_before(self, day: date) -> int:
        """Forget who used how much on earlier days. Returns how many rows."""
        async with self._database.transaction() as session:
            return rows_changed(await session.execute(delete(UsageDay).where(column(UsageDay.day) < day)))
