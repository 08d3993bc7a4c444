"""Every query on jobs, in one place to audit and to index."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID, uuid4

from sqlalchemy import CursorResult, and_, case, delete, func, not_, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from relume.errors import LeaseLost, NotFound
from relume.jobs.models import AttemptRow, ExternalRun, IdempotencyKey, Job, JobStatus, WebhookDelivery
from relume.jobs.unbroken import unbroken

ENDED = (JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED)


class Transactions(Protocol):
    """What the repository needs of a database."""

    def transaction(self) -> AbstractAsyncContextManager[AsyncSession]: ...

    def reading(self) -> AbstractAsyncContextManager[AsyncSession]: ...


@dataclass(frozen=True, slots=True)
class Backlog:
    """The jobs of one lane that anybody may claim now."""

    lane: str
    jobs: int
    fresh: int
    """Of them, those whose id was not handed to the queue since they last became due."""
    late: int
    """Of them, those whose id was handed to the queue, but long ago."""


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """What a worker learns when it renews its lease."""

    cancel_requested: bool


class KeyTaken(Exception):
    """Another request has just used the same idempotency key."""


@unbroken
class JobRepository:
    """Jobs and what belongs to them, in SQLite or PostgreSQL."""

    def __init__(self, database: Transactions) -> None:
        self._database = database

    # Making and reading

    async def add(self, job: Job, key: IdempotencyKey | None = None) -> None:
        """Raises KeyTaken when the idempotency key exists."""
        try:
            async with self._database.transaction() as session:
                session.add(job)
                await session.flush()
                if key is not None:
                    session.add(key)
        except IntegrityError as error:
            if key is None:
                raise
            raise KeyTaken from error

    async def get(self, job_id: UUID) -> Job:
        """Raises NotFound."""
        async with self._database.reading() as session:
            job = await session.get(Job, job_id)
        if job is None:
            raise NotFound("There is no job with this id.")
        return job

    async def key(self, scope: str, key: str) -> IdempotencyKey | None:
        async with self._database.reading() as session:
            return await session.get(IdempotencyKey, (scope, key))

    async def attempts(self, job_id: UUID) -> list[AttemptRow]:
        query = select(AttemptRow).where(_c(AttemptRow.job_id) == job_id).order_by(_c(AttemptRow.id))
        async with self._database.reading() as session:
            return list((await session.scalars(query)).all())

    async def counts(self) -> dict[str, int]:
        """How many jobs are in each state."""
        query = select(_c(Job.status), func.count()).group_by(_c(Job.status))
        async with self._database.reading() as session:
            return {str(status): number for status, number in (await session.execute(query)).all()}

    async def same_result(self, cache_key: str) -> Job | None:
        """The latest job whose result is kept and would be the same. Results of a fallback do not count."""
        query = (
            select(Job)
            .where(
                _c(Job.cache_key) == cache_key,
                _c(Job.status) == JobStatus.SUCCEEDED,
                _c(Job.outcome).in_(("restored", "unchanged")),
                _c(Job.files_deleted_at).is_(None),
                _c(Job.staged_key).is_(None),
            )
            .order_by(_c(Job.finished_at).desc())
            .limit(1)
        )
        async with self._database.reading() as session:
            return (await session.scalars(query)).one_or_none()

    # Claiming and finishing

    async def due(self, now: datetime, limit: int = 1000) -> list[tuple[UUID, str]]:
        """Ids and lanes of jobs that anybody may claim now, oldest first."""
        query = (
            select(_c(Job.id), _c(Job.lane)).where(_claimable(now)).order_by(_c(Job.created_at)).limit(limit)
        )
        async with self._database.reading() as session:
            return [(job_id, lane) for job_id, lane in (await session.execute(query)).all()]

    async def claim(self, job_id: UUID, now: datetime, lease: timedelta) -> Job | None:
        """Take a job for `lease`. None when somebody else has it, or it has ended."""
        claim = (
            update(Job)
            .where(_c(Job.id) == job_id, _claimable(now))
            .values(
                status=JobStatus.RUNNING,
                lease_token=str(uuid4()),
                lease_until=now + lease,
                runs=Job.runs + 1,
                started_at=func.coalesce(Job.started_at, now),
            )
            .returning(Job)
        )
        async with self._database.transaction() as session:
            return (await session.scalars(claim)).one_or_none()

    async def backlogs(self, now: datetime, late: datetime) -> list[Backlog]:
        """What waits in each lane. `late`: an id that was handed to the queue before then may be lost."""
        columns = (
            _c(Job.lane),
            func.count(),
            func.coalesce(func.sum(case((_fresh(), 1), else_=0)), 0),
            func.coalesce(func.sum(case((_late(late), 1), else_=0)), 0),
        )
        query = select(*columns).where(_claimable(now)).group_by(_c(Job.lane))
        async with self._database.reading() as session:
            return [Backlog(*row) for row in (await session.execute(query)).all()]

    async def hand_out(self, lane: str, now: datetime, late: datetime, limit: int) -> list[UUID]:
        """Mark up to `limit` jobs as handed to the queue now, fresh ones first, and give their ids.

        Many processes may ask at once: each id goes to one of them.
        """
        due = (
            select(_c(Job.id))
            .where(_c(Job.lane) == lane, _claimable(now), or_(_fresh(), _late(late)))
            .order_by(case((_fresh(), 0), else_=1), _c(Job.created_at))
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        mark = update(Job).where(_c(Job.id).in_(due)).values(enqueued_at=now).returning(_c(Job.id))
        async with self._database.transaction() as session:
            return list((await session.scalars(mark)).all())

    async def renew(self, job: Job, until: datetime) -> Heartbeat:
        """Keep the lease alive. Raises LeaseLost."""
        renewal = (
            update(Job).where(*_owned(job)).values(lease_until=until).returning(_c(Job.cancel_requested))
        )
        async with self._database.transaction() as session:
            cancel_requested = (await session.execute(renewal)).scalar_one_or_none()
        if cancel_requested is None:
            raise LeaseLost("Another worker has taken over this job.")
        return Heartbeat(cancel_requested)

    async def progress(self, job: Job, progress: float, step: str) -> None:
        """Progress never goes back, not even when a job is run again."""
        forward = case((_c(Job.progress) < progress, progress), else_=_c(Job.progress))
        async with self._database.transaction() as session:
            await session.execute(update(Job).where(*_owned(job)).values(progress=forward, step=step))

    async def set_input(self, job: Job, **values: Any) -> None:
        """Record where the fetched original lies. Raises LeaseLost."""
        async with self._database.transaction() as session:
            await self._update_owned(session, job, values)

    async def record_attempt(self, attempt: AttemptRow) -> None:
        """Keep an attempt. What was paid for one external run is counted with its first attempt only."""
        paid = select(func.count()).where(
            _c(AttemptRow.job_id) == attempt.job_id,
            _c(AttemptRow.external_id) == attempt.external_id,
            _c(AttemptRow.cost_usd) > 0,
        )
        async with self._database.transaction() as session:
            if attempt.external_id is not None and (await session.execute(paid)).scalar_one():
                attempt.cost_usd = 0.0
            session.add(attempt)

    async def external_id(self, job_id: UUID, step: int, provider: str) -> str | None:
        async with self._database.reading() as session:
            found = await session.get(ExternalRun, (job_id, step, provider))
        return found.external_id if found else None

    async def remember_external(self, run: ExternalRun) -> None:
        """Replaces what was remembered for the same step and provider."""
        async with self._database.transaction() as session:
            await session.merge(run)

    async def forget_external(self, job_id: UUID, step: int, provider: str) -> None:
        same = (
            _c(ExternalRun.job_id) == job_id,
            _c(ExternalRun.step) == step,
            _c(ExternalRun.provider) == provider,
        )
        async with self._database.transaction() as session:
            await session.execute(delete(ExternalRun).where(*same))

    async def finish(self, job: Job, delivery: WebhookDelivery | None, **values: Any) -> None:
        """End a job, once: only the owner of the lease can. Raises LeaseLost."""
        cost = select(func.coalesce(func.sum(AttemptRow.cost_usd), 0.0)).where(
            _c(AttemptRow.job_id) == job.id
        )
        begun = delete(ExternalRun).where(_c(ExternalRun.job_id) == job.id)
        async with self._database.transaction() as session:
            ended = {
                "lease_token": None,
                "lease_until": None,
                "step": None,
                "cost_usd": cost.scalar_subquery(),
            }
            await self._update_owned(session, job, values | ended)
            await session.execute(begun)
            if delivery is not None:
                session.add(delivery)

    async def release(self, job: Job, available_at: datetime, *, count_run: bool) -> None:
        """Give a claimed job back. `count_run` False undoes the claim, as for a worker that is told to stop."""
        values = {
            "status": JobStatus.QUEUED,
            "lease_token": None,
            "lease_until": None,
            "available_at": available_at,
            "enqueued_at": None,
            "runs": Job.runs if count_run else Job.runs - 1,
        }
        async with self._database.transaction() as session:
            await session.execute(update(Job).where(*_owned(job)).values(**values))

    async def _update_owned(self, session: AsyncSession, job: Job, values: dict[str, Any]) -> None:
        result = await session.execute(update(Job).where(*_owned(job)).values(**values))
        if _rows(result) != 1:
            raise LeaseLost("Another worker has taken over this job.")

    # Cancelling

    async def cancel_queued(self, job_id: UUID, delivery: WebhookDelivery | None, **values: Any) -> bool:
        """End a job that nobody has claimed yet. Whether it was so."""
        waiting = (_c(Job.id) == job_id, _c(Job.status) == JobStatus.QUEUED)
        async with self._database.transaction() as session:
            result = await session.execute(update(Job).where(*waiting).values(**values))
            if _rows(result) == 1 and delivery is not None:
                session.add(delivery)
        return _rows(result) == 1

    async def request_cancel(self, job_id: UUID) -> bool:
        """Ask the worker of a running job to stop. Whether it was running."""
        running = (_c(Job.id) == job_id, _c(Job.status) == JobStatus.RUNNING)
        async with self._database.transaction() as session:
            result = await session.execute(update(Job).where(*running).values(cancel_requested=True))
        return _rows(result) == 1

    # Files

    async def staged(self, limit: int = 100) -> list[Job]:
        """Succeeded jobs whose result still has to move to its final place."""
        query = select(Job).where(_c(Job.staged_key).is_not(None), _c(Job.status) == JobStatus.SUCCEEDED)
        async with self._database.reading() as session:
            return list((await session.scalars(query.limit(limit))).all())

    async def mark_promoted(self, job_id: UUID) -> None:
        async with self._database.transaction() as session:
            await session.execute(update(Job).where(_c(Job.id) == job_id).values(staged_key=None))

    async def expired(self, now: datetime, limit: int = 500) -> list[Job]:
        """Ended jobs whose files have had their time."""
        query = select(Job).where(
            _c(Job.files_expire_at) <= now, _c(Job.files_deleted_at).is_(None), _c(Job.status).in_(ENDED)
        )
        async with self._database.reading() as session:
            return list((await session.scalars(query.limit(limit))).all())

    async def mark_files_deleted(self, job_ids: Sequence[UUID], now: datetime) -> None:
        values = {"files_deleted_at": now, "input_key": None, "staged_key": None}
        async with self._database.transaction() as session:
            await session.execute(update(Job).where(_c(Job.id).in_(job_ids)).values(**values))

    async def get_many(self, job_ids: Sequence[UUID]) -> list[Job]:
        """Those of these jobs that exist."""
        async with self._database.reading() as session:
            return list((await session.scalars(select(Job).where(_c(Job.id).in_(job_ids)))).all())

    async def delete_keys_before(self, moment: datetime) -> int:
        """Forget idempotency keys of earlier than `moment`. Returns how many."""
        query = delete(IdempotencyKey).where(_c(IdempotencyKey.created_at) < moment)
        async with self._database.transaction() as session:
            return _rows(await session.execute(query))

    # Webhooks

    async def due_deliveries(self, now: datetime, lease: timedelta, limit: int = 20) -> list[WebhookDelivery]:
        """Deliveries to try now. Each is put off by `lease`, so that no other process sends it meanwhile."""
        due = select(_c(WebhookDelivery.id)).where(
            _c(WebhookDelivery.delivered_at).is_(None),
            _c(WebhookDelivery.given_up_at).is_(None),
            _c(WebhookDelivery.next_try_at) <= now,
        )
        claim = (
            update(WebhookDelivery)
            .where(
                _c(WebhookDelivery.id).in_(due.limit(limit).with_for_update(skip_locked=True)),
                _c(WebhookDelivery.next_try_at) <= now,
            )
            .values(next_try_at=now + lease, tries=WebhookDelivery.tries + 1)
            .returning(WebhookDelivery)
        )
        async with self._database.transaction() as session:
            return list((await session.scalars(claim)).all())

    async def update_delivery(self, delivery_id: UUID, **values: Any) -> None:
        async with self._database.transaction() as session:
            query = update(WebhookDelivery).where(_c(WebhookDelivery.id) == delivery_id)
            await session.execute(query.values(**values))

    async def deliveries(self, job_id: UUID) -> list[WebhookDelivery]:
        query = select(WebhookDelivery).where(_c(WebhookDelivery.job_id) == job_id)
        async with self._database.reading() as session:
            return list((await session.scalars(query)).all())


def _c(attribute: Any) -> Any:
    """A mapped attribute as the column it is: SQLModel types it as the value it holds."""
    return attribute


def _claimable(now: datetime) -> Any:
    waiting = and_(_c(Job.status) == JobStatus.QUEUED, _c(Job.available_at) <= now)
    abandoned = and_(_c(Job.status) == JobStatus.RUNNING, _c(Job.lease_until) < now)
    return or_(waiting, abandoned)


def _fresh() -> Any:
    """Of claimable jobs: not handed to the queue since it became due."""
    handed = _c(Job.enqueued_at)
    return or_(handed.is_(None), and_(_c(Job.status) == JobStatus.RUNNING, handed <= _c(Job.lease_until)))


def _late(moment: datetime) -> Any:
    return and_(not_(_fresh()), _c(Job.enqueued_at) < moment)


def _owned(job: Job) -> tuple[Any, ...]:
    return (
        _c(Job.id) == job.id,
        _c(Job.status) == JobStatus.RUNNING,
        _c(Job.lease_token) == job.lease_token,
    )


def _rows(result: Any) -> int:
    assert isinstance(result, CursorResult)  # noqa: S101 (an UPDATE always gives one)
    return result.rowcount
