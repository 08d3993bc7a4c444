"""Every query on jobs, in one place to audit and to index."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Protocol, TypeVar
from uuid import UUID, uuid4

from sqlalchemy import (
    CursorResult,
    Select,
    Table,
    and_,
    bindparam,
    case,
    delete,
    func,
    insert,
    literal,
    not_,
    or_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session
from sqlmodel import SQLModel

from relume.errors import LeaseLost, NotFound
from relume.jobs.group_commit import Work
from relume.jobs.listing import JobFilter
from relume.jobs.models import (
    AttemptRow,
    Batch,
    ExternalRun,
    IdempotencyKey,
    Job,
    JobStatus,
    UsageDay,
    WebhookDelivery,
    column,
)
from relume.jobs.quotas import NO_QUOTA, Quota, usage_key
from relume.jobs.unbroken import unbroken

T = TypeVar("T")

_ENDED = (JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED)


class Transactions(Protocol):
    """What the repository needs of a database."""

    async def write(self, work: Work[T], order: str = "") -> T: ...

    async def read(self, work: Work[T]) -> T: ...

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

    def __init__(self, database: Transactions, quota: Quota = NO_QUOTA) -> None:
        self._database = database
        self._quota = quota

    # Making and reading

    async def add(self, job: Job, key: IdempotencyKey | None = None) -> None:
        """Raises KeyTaken when the idempotency key exists, and QuotaExceeded; then nothing was counted."""
        values, key_values = _values(job), _values(key) if key else None

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

    async def get(self, job_id: UUID) -> Job:
        """Raises NotFound."""
        job: Job | None = await self._database.read(lambda session: session.scalar(_JOB, {"id": job_id}))
        if job is None:
            raise NotFound("There is no job with this id.")
        return job

    async def key(self, scope: str, key: str) -> IdempotencyKey | None:
        return await self._database.read(lambda session: session.get(IdempotencyKey, (scope, key)))

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

    # Claiming and finishing

    async def due(self, now: datetime, limit: int = 1000) -> list[tuple[UUID, str]]:
        """Ids and lanes of jobs that anybody may claim now, oldest first."""
        query = (
            select(column(Job.id), column(Job.lane))
            .where(_claimable(now))
            .order_by(column(Job.created_at))
            .limit(limit)
        )
        async with self._database.reading() as session:
            return [(job_id, lane) for job_id, lane in (await session.execute(query)).all()]

    async def claim(self, job_id: UUID, now: datetime, lease: timedelta) -> Job | None:
        """Take a job for `lease`. None when somebody else has it, or it has ended."""
        values = {"claimed_id": job_id, "now": now, "token": str(uuid4()), "until": now + lease}
        return await self._database.write(lambda session: session.scalar(_CLAIM, values), str(job_id))

    async def backlogs(self, now: datetime, late: datetime) -> list[Backlog]:
        """What waits in each lane. `late`: an id that was handed to the queue before then may be lost."""
        columns = (
            column(Job.lane),
            func.count(),
            func.coalesce(func.sum(case((_fresh(), 1), else_=0)), 0),
            func.coalesce(func.sum(case((_late(late), 1), else_=0)), 0),
        )
        query = select(*columns).where(_claimable(now)).group_by(column(Job.lane))
        async with self._database.reading() as session:
            return [Backlog(*row) for row in (await session.execute(query)).all()]

    async def hand_out(self, lane: str, now: datetime, late: datetime, limit: int) -> list[UUID]:
        """Mark up to `limit` jobs as handed to the queue now, fresh ones first, and give their ids.

        Many processes may ask at once: each id goes to one of them.
        """
        due = (
            select(column(Job.id))
            .where(column(Job.lane) == lane, _claimable(now), or_(_fresh(), _late(late)))
            .order_by(case((_fresh(), 0), else_=1), column(Job.created_at))
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        mark = update(Job).where(column(Job.id).in_(due)).values(enqueued_at=now).returning(column(Job.id))
        async with self._database.transaction() as session:
            return list((await session.scalars(mark)).all())

    async def renew(self, job: Job, until: datetime) -> Heartbeat:
        """Keep the lease alive. Raises LeaseLost."""
        values = _lease(job) | {"until": until}
        cancel_requested = await self._database.write(
            lambda session: session.scalar(_RENEW, values), str(job.id)
        )
        if cancel_requested is None:
            raise LeaseLost("Another worker has taken over this job.")
        return Heartbeat(cancel_requested)

    async def progress(
        self, job: Job, progress: float, step: str | None, attempts: Sequence[AttemptRow] = ()
    ) -> list[float]:
        """Progress never goes back, not even when a job is run again. Keeps `attempts` as `record_attempt` does.

        Returns what each attempt has cost, in US dollars.
        """
        values = _lease(job) | {"reached": progress, "at_step": step}

        def work(session: Session) -> list[float]:
            costs = [_keep(session, attempt) for attempt in attempts]
            session.execute(_PROGRESS, values)
            return costs

        return await self._database.write(work, str(job.id))

    async def set_input(self, job: Job, **values: Any) -> None:
        """Record where the fetched original lies. Raises LeaseLost."""
        await self._write_owned(job, lambda session: _update_owned(session, job, values))

    async def record_attempt(self, attempt: AttemptRow) -> None:
        """Keep an attempt. What was paid for one external run is counted with its first attempt only."""
        await self._database.write(lambda session: _keep(session, attempt), str(attempt.job_id))

    async def external_id(self, job_id: UUID, step: int, provider: str) -> str | None:
        key = (job_id, step, provider)
        found = await self._database.read(lambda session: session.get(ExternalRun, key))
        return found.external_id if found else None

    async def remember_external(self, run: ExternalRun) -> None:
        """Replaces what was remembered for the same step and provider."""
        values = _values(run)

        def work(session: Session) -> None:
            session.execute(_FORGET_RUN, values)
            session.execute(_REMEMBER_RUN, values)

        await self._database.write(work, str(run.job_id))

    async def forget_external(self, job_id: UUID, step: int, provider: str) -> None:
        values = {"job_id": job_id, "step": step, "provider": provider}
        await self._database.write(lambda session: session.execute(_FORGET_RUN, values), str(job_id))

    async def finish(
        self,
        job: Job,
        delivery: WebhookDelivery | None,
        *,
        attempts: Sequence[AttemptRow] = (),
        **values: Any,
    ) -> list[float]:
        """End a job, once: only the owner of the lease can. Keeps `attempts` in any case. Raises LeaseLost.

        Returns what each attempt has cost, in US dollars.
        """
        delivery_values = _values(delivery) if delivery else None

        def work(session: Session) -> tuple[bool, list[float]]:
            costs = [_keep(session, attempt) for attempt in attempts]
            is_owner = _rows(session.execute(_FINISH, values | _lease(job))) == 1
            if is_owner:
                if self._quota.applies_to(job.client):
                    session.execute(self._quota.charging(job, _cost_of(job)))
                session.execute(_FORGET_RUNS, {"job_id": job.id})
                if delivery_values is not None:
                    session.execute(_ADD_DELIVERY, delivery_values)
            return is_owner, costs

        is_owner, costs = await self._database.write(work, str(job.id))
        if not is_owner:
            raise LeaseLost("Another worker has taken over this job.")
        return costs

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
        released = update(Job).where(*_owned(job)).values(**values).execution_options(**_PLAIN)
        await self._database.write(lambda session: session.execute(released), str(job.id))

    async def _write_owned(self, job: Job, work: Work[bool]) -> None:
        """A write that says whether the lease was still ours. Not by raising: that would undo others' writes."""
        if not await self._database.write(work, str(job.id)):
            raise LeaseLost("Another worker has taken over this job.")

    # Cancelling

    async def cancel_queued(self, job_id: UUID, delivery: WebhookDelivery | None, **values: Any) -> bool:
        """End a job that nobody has claimed yet. Whether it was so."""
        waiting = (column(Job.id) == job_id, column(Job.status) == JobStatus.QUEUED)
        ended = update(Job).where(*waiting).values(**values).execution_options(**_PLAIN)
        delivery_values = _values(delivery) if delivery else None

        def work(session: Session) -> bool:
            was_waiting = _rows(session.execute(ended)) == 1
            if was_waiting and delivery_values is not None:
                session.execute(_ADD_DELIVERY, delivery_values)
            return was_waiting

        return await self._database.write(work, str(job_id))

    async def request_cancel(self, job_id: UUID) -> bool:
        """Ask the worker of a running job to stop. Whether it was running."""
        running = (column(Job.id) == job_id, column(Job.status) == JobStatus.RUNNING)
        asked = update(Job).where(*running).values(cancel_requested=True).execution_options(**_PLAIN)
        return await self._database.write(lambda session: _rows(session.execute(asked)) == 1, str(job_id))

    # Files

    async def staged(self, limit: int = 100) -> list[Job]:
        """Succeeded jobs whose result still has to move to its final place."""
        async with self._database.reading() as session:
            return list((await session.scalars(staged_query().limit(limit))).all())

    async def mark_promoted(self, job_id: UUID) -> None:
        await self._database.write(
            lambda session: session.execute(_PROMOTED, {"promoted_id": job_id}), str(job_id)
        )

    async def expired(self, now: datetime, limit: int = 500) -> list[Job]:
        """Ended jobs whose files have had their time."""
        async with self._database.reading() as session:
            return list((await session.scalars(expired_query(now).limit(limit))).all())

    async def mark_files_deleted(self, job_ids: Sequence[UUID], now: datetime) -> None:
        """A text goes too. Only a batch still names its files: it tells what came of each."""
        name, search, is_alone = (
            column(Job.original_filename),
            column(Job.search_text),
            column(Job.batch_id).is_(None),
        )
        values = {
            "files_deleted_at": now,
            "input_key": None,
            "staged_key": None,
            "unmixed_key": None,
            "result_text": None,
            "original_filename": case((is_alone, None), else_=name),
            "search_text": case((and_(is_alone, name.is_not(None)), None), else_=search),
        }
        async with self._database.transaction() as session:
            await session.execute(update(Job).where(column(Job.id).in_(job_ids)).values(**values))

    async def forget_files(self, job_id: UUID, now: datetime) -> bool:
        """Make an ended job's files due, and forget what they were called. Whether it has ended.

        From then on no other job is answered with its result, and the janitor deletes what is left of the files.
        """
        name = column(Job.original_filename)
        values = {
            "files_expire_at": now,
            "cache_key": None,
            "result_text": None,
            "original_filename": None,
            "search_text": case((name.is_not(None), None), else_=column(Job.search_text)),
        }
        ended = (column(Job.id) == job_id, column(Job.status).in_(_ENDED))
        forgotten = update(Job).where(*ended).values(**values).execution_options(**_PLAIN)
        return await self._database.write(lambda session: _rows(session.execute(forgotten)) == 1, str(job_id))

    async def get_many(self, job_ids: Sequence[UUID]) -> list[Job]:
        """Those of these jobs that exist."""
        async with self._database.reading() as session:
            return list((await session.scalars(select(Job).where(column(Job.id).in_(job_ids)))).all())

    async def delete_ended_before(self, moment: datetime, limit: int = 500) -> int:
        """Delete up to `limit` ended jobs that came before `moment`, with what belongs to them. Returns how many."""
        old = (
            select(column(Job.id))
            .where(column(Job.created_at) < moment, column(Job.status).in_(_ENDED))
            .limit(limit)
        )
        async with self._database.transaction() as session:
            return _rows(await session.execute(delete(Job).where(column(Job.id).in_(old))))

    async def delete_empty_batches_before(self, moment: datetime) -> int:
        """Delete batches that came before `moment` and have no job any more. Returns how many."""
        is_empty = ~select(Job).where(column(Job.batch_id) == column(Batch.id)).exists()
        async with self._database.transaction() as session:
            return _rows(
                await session.execute(delete(Batch).where(column(Batch.created_at) < moment, is_empty))
            )

    async def delete_keys_before(self, moment: datetime) -> int:
        """Forget idempotency keys of earlier than `moment`. Returns how many."""
        query = delete(IdempotencyKey).where(column(IdempotencyKey.created_at) < moment)
        async with self._database.transaction() as session:
            return _rows(await session.execute(query))

    async def delete_usage_before(self, day: date) -> int:
        """Forget who used how much on earlier days. Returns how many rows."""
        async with self._database.transaction() as session:
            return _rows(await session.execute(delete(UsageDay).where(column(UsageDay.day) < day)))

    # Webhooks

    async def due_deliveries(self, now: datetime, lease: timedelta, limit: int = 20) -> list[WebhookDelivery]:
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

    async def update_delivery(self, delivery_id: UUID, **values: Any) -> None:
        async with self._database.transaction() as session:
            query = update(WebhookDelivery).where(column(WebhookDelivery.id) == delivery_id)
            await session.execute(query.values(**values))

    async def deliveries(self, job_id: UUID) -> list[WebhookDelivery]:
        query = select(WebhookDelivery).where(column(WebhookDelivery.job_id) == job_id)
        async with self._database.reading() as session:
            return list((await session.scalars(query)).all())


def staged_query() -> Select[Any]:
    """Jobs that have ended, and only they, have such a key. Served by an index that holds nothing else."""
    return select(Job).where(column(Job.staged_key).is_not(None))


def expired_query(now: datetime) -> Select[Any]:
    """A job gets that time when it ends. Served by an index of those whose files are still there."""
    return select(Job).where(column(Job.files_expire_at) <= now, column(Job.files_deleted_at).is_(None))


def _claimable(now: Any) -> Any:
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


def _owned(job: Job) -> tuple[Any, ...]:
    return (
        column(Job.id) == job.id,
        column(Job.status) == JobStatus.RUNNING,
        column(Job.lease_token) == job.lease_token,
    )


def _rows(result: Any) -> int:
    assert isinstance(result, CursorResult)  # noqa: S101 (an UPDATE always gives one)
    return result.rowcount


# Statements of every job, made once: to build one anew costs as much as to execute it.

_PLAIN: dict[str, Any] = {"synchronize_session": False}


def _table(kind: type[SQLModel]) -> Table:
    table: Table = kind.__table__  # type: ignore[attr-defined]
    return table


def _values(row: SQLModel) -> dict[str, Any]:
    return {column.name: getattr(row, column.name) for column in _table(type(row)).columns}


def _lease(job: Job) -> dict[str, Any]:
    return {"owned_id": job.id, "owned_token": job.lease_token}


_jobs, _attempts, _runs = _table(Job).c, _table(AttemptRow).c, _table(ExternalRun).c
_LEASED = (
    _jobs.id == bindparam("owned_id"),
    _jobs.status == JobStatus.RUNNING,
    _jobs.lease_token == bindparam("owned_token"),
)
_NOW: Any = bindparam("now", type_=_jobs.available_at.type)

_JOB = select(Job).where(column(Job.id) == bindparam("id"))
_ADD_JOB, _ADD_KEY = insert(_table(Job)), insert(_table(IdempotencyKey))
_ADD_DELIVERY = insert(_table(WebhookDelivery))
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
_CLAIM = (
    update(Job)
    .where(column(Job.id) == bindparam("claimed_id"), _claimable(_NOW))
    .values(
        status=JobStatus.RUNNING,
        lease_token=bindparam("token"),
        lease_until=bindparam("until"),
        runs=Job.runs + 1,
        started_at=func.coalesce(Job.started_at, _NOW),
    )
    .returning(Job)
    .execution_options(**_PLAIN)
)
_RENEW = (
    update(_table(Job))
    .where(*_LEASED)
    .values(lease_until=bindparam("until"))
    .returning(_jobs.cancel_requested)
)
_REACHED: Any = bindparam("reached", type_=_jobs.progress.type)
_PROGRESS = (
    update(_table(Job))
    .where(*_LEASED)
    .values(
        progress=case((_jobs.progress < _REACHED, _REACHED), else_=_jobs.progress), step=bindparam("at_step")
    )
)
_SET_OWNED = update(_table(Job)).where(*_LEASED)
_FINISH = _SET_OWNED.values(
    lease_token=None,
    lease_until=None,
    step=None,
    cost_usd=select(func.coalesce(func.sum(_attempts.cost_usd), 0.0))
    .where(_attempts.job_id == bindparam("owned_id"))
    .scalar_subquery(),
)
_PROMOTED = update(_table(Job)).where(_jobs.id == bindparam("promoted_id")).values(staged_key=None)
_ADD_ATTEMPT = insert(_table(AttemptRow))
_IS_PAID = (
    select(literal(1))
    .where(
        _attempts.job_id == bindparam("job_id"),
        _attempts.external_id == bindparam("external_id"),
        _attempts.cost_usd > 0,
    )
    .limit(1)
)
_REMEMBER_RUN = insert(_table(ExternalRun))
_FORGET_RUNS = delete(_table(ExternalRun)).where(_runs.job_id == bindparam("job_id"))
_FORGET_RUN = _FORGET_RUNS.where(_runs.step == bindparam("step"), _runs.provider == bindparam("provider"))


def _cost_of(job: Job) -> Any:
    return select(_jobs.cost_usd).where(_jobs.id == job.id).scalar_subquery()


def _update_owned(session: Session, job: Job, values: dict[str, Any]) -> bool:
    return _rows(session.execute(_SET_OWNED, values | _lease(job))) == 1


def _keep(session: Session, attempt: AttemptRow) -> float:
    """An attempt as a row; what was paid for one external run is counted once. What it has cost."""
    values = _values(attempt)
    del values["id"]
    if attempt.external_id is not None and session.scalar(_IS_PAID, values):
        values["cost_usd"] = 0.0
    session.execute(_ADD_ATTEMPT, values)
    return float(values["cost_usd"])
