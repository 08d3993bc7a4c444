"""Webhooks: messages about ended jobs, and who sends which when."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select, update

from relume.jobs.models import WebhookDelivery, column
from relume.jobs.repository.statements import table_of
from relume.jobs.transactions import Transactions
from relume.jobs.unbroken import unbroken

ADD_DELIVERY = insert(table_of(WebhookDelivery))
"""With the values of a row."""


@unbroken
class Deliveries:
    """Each is written in the transaction that ends its job."""

    def __init__(self, database: Transactions) -> None:
        self._database = database

    async def due(self, now: datetime, lease: timedelta, limit: int = 20) -> list[WebhookDelivery]:
        """Deliveries to try now. Each is put off by `lease`, so that no other process sends it meanwhile."""
        due = select(column(WebhookDelivery.id)).where(
            column(WebhookDelivery.delivered_at).is_(None),
            column(WebhookDelivery.given_up_at).is_(None),
            column(WebhookDelivery.next_try_at) <= now,
        )
        claim = (
            update(WebhookDelivery)
            .where(
                column(WebhookDelivery.id).in_(due.limit(limit).with_for_update(skip_locked=True)),
                column(WebhookDelivery.next_try_at) <= now,
            )
            .values(next_try_at=now + lease, tries=WebhookDelivery.tries + 1)
            .returning(WebhookDelivery)
        )
        async with self._database.transaction() as session:
            return list((await session.scalars(claim)).all())

    async def update(self, delivery_id: UUID, **values: Any) -> None:
        async with self._database.transaction() as session:
            query = update(WebhookDelivery).where(column(WebhookDelivery.id) == delivery_id)
            await session.execute(query.values(**values))

    async def of_job(self, job_id: UUID) -> list[WebhookDelivery]:
        query = select(WebhookDelivery).where(column(WebhookDelivery.job_id) == job_id)
        async with self._database.reading() as session:
            return list((await session.scalars(query)).all())
