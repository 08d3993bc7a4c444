"""What the worker of a job writes, from its claim to the job's end.

Every write but those of attempts and external runs names the lease: whoever has lost it changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import bindparam, case, delete, func, insert, literal, select, update
from sqlalchemy.orm import Session

from relume.errors import LeaseLost
from relume.jobs.group_commit import Work
from relume.jobs.models import AttemptRow, ExternalRun, Job, JobStatus, WebhookDelivery, column
from relume.jobs.quotas import NO_QUOTA, Quota
from relume.jobs.repository.deliveries import ADD_DELIVERY
from relume.jobs.repository.due import claimable
from relume.jobs.repository.statements import PLAIN, rows_changed, table_of, values_of
from relume.jobs.transactions import Transactions
from relume.jobs.unbroken import unbroken


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """What a worker learns when it renews its lease."""

    cancel_requested: bool


@unbroken
class Leases:
    """Claimed jobs, their attempts, and the runs that hosted providers have begun for them."""

    def __init__(self, database: Transactions, quota: Quota = NO_QUOTA) -> None:
        self._database = database
        self._quota = quota

    async def claim(self, job_id: UUID, now: datetime, lease: timedelta) -> Job | None:
        """Take a job for `lease`. None when somebody else has it, or it has ended."""
        values = {"claimed_id": job_id, "now": now, "token": str(uuid4()), "until": now + lease}
        return await self._database.write(lambda session: session.scalar(_CLAIM, values), str(job_id))

    async def renew(self, job: Job, until: datetime) -> Heartbeat:
        """Keep the lease alive. Raises LeaseLost."""
        values = _lease(job) | {"until": until}
        cancel_requested = await self._database.write(
            lambda session: session.scalar(_RENEW, values), str(job.id)
        )
        if cancel_requested is None:
            raise LeaseLost("Another worker has taken over this job.")
        return Heartbeat(cancel_requested)

    async def set_input(self, job: Job, **values: Any) -> None:
        """Record where the fetched original lies. Raises LeaseLost."""
        await self._write_owned(job, lambda session: _update_owned(session, job, values))

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

    async def record_attempt(self, attempt: AttemptRow) -> None:
        """Keep an attempt. What was paid for one external run is counted with its first attempt only."""
        await self._database.write(lambda session: _keep(session, attempt), str(attempt.job_id))

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
        delivery_values = values_of(delivery) if delivery else None

        def work(session: Session) -> tuple[bool, list[float]]:
            costs = [_keep(session, attempt) for attempt in attempts]
            is_owner = rows_changed(session.execute(_FINISH, values | _lease(job))) == 1
            if is_owner:
                if self._quota.applies_to(job.client):
                    session.execute(self._quota.charging(job, _cost_of(job)))
                session.execute(_FORGET_RUNS, {"job_id": job.id})
                if delivery_values is not None:
                    session.execute(ADD_DELIVERY, delivery_values)
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
        released = update(Job).where(*_owned(job)).values(**values).execution_options(**PLAIN)
        await self._database.write(lambda session: session.execute(released), str(job.id))

    async def external_id(self, job_id: UUID, step: int, provider: str) -> str | None:
        key = (job_id, step, provider)
        found = await self._database.read(lambda session: session.get(ExternalRun, key))
        return found.external_id if found else None

    async def remember_external(self, run: ExternalRun) -> None:
        """Replaces what was remembered for the same step and provider."""
        values = values_of(run)

        def work(session: Session) -> None:
            session.execute(_FORGET_RUN, values)
            session.execute(_REMEMBER_RUN, values)

        await self._database.write(work, str(run.job_id))

    async def forget_external(self, job_id: UUID, step: int, provider: str) -> None:
        values = {"job_id": job_id, "step": step, "provider": provider}
        await self._database.write(lambda session: session.execute(_FORGET_RUN, values), str(job_id))

    async def _write_owned(self, job: Job, work: Work[bool]) -> None:
        """A write that says whether the lease was still ours. Not by raising: that would undo others' writes."""
        if not await self._database.write(work, str(job.id)):
            raise LeaseLost("Another worker has taken over this job.")


# Statements of every job, made once: to build one anew costs as much as to execute it.

_jobs, _attempts, _runs = table_of(Job).c, table_of(AttemptRow).c, table_of(ExternalRun).c
_LEASED = (
    _jobs.id == bindparam("owned_id"),
    _jobs.status == JobStatus.RUNNING,
    _jobs.lease_token == bindparam("owned_token"),
)
_NOW: Any = bindparam("now", type_=_jobs.available_at.type)
_CLAIM = (
    update(Job)
    .where(column(Job.id) == bindparam("claimed_id"), claimable(_NOW))
    .values(
        status=JobStatus.RUNNING,
        lease_token=bindparam("token"),
        lease_until=bindparam("until"),
        runs=Job.runs + 1,
        started_at=func.coalesce(Job.started_at, _NOW),
    )
    .returning(Job)
    .execution_options(**PLAIN)
)
_RENEW = (
    update(table_of(Job))
    .where(*_LEASED)
    .values(lease_until=bindparam("until"))
    .returning(_jobs.cancel_requested)
)
_REACHED: Any = bindparam("reached", type_=_jobs.progress.type)
_PROGRESS = (
    update(table_of(Job))
    .where(*_LEASED)
    .values(
        progress=case((_jobs.progress < _REACHED, _REACHED), else_=_jobs.progress), step=bindparam("at_step")
    )
)
_SET_OWNED = update(table_of(Job)).where(*_LEASED)
_FINISH = _SET_OWNED.values(
    lease_token=None,
    lease_until=None,
    step=None,
    cost_usd=select(func.coalesce(func.sum(_attempts.cost_usd), 0.0))
    .where(_attempts.job_id == bindparam("owned_id"))
    .scalar_subquery(),
)
_ADD_ATTEMPT = insert(table_of(AttemptRow))
_IS_PAID = (
    select(literal(1))
    .where(
        _attempts.job_id == bindparam("job_id"),
        _attempts.external_id == bindparam("external_id"),
        _attempts.cost_usd > 0,
    )
    .limit(1)
)
_REMEMBER_RUN = insert(table_of(ExternalRun))
_FORGET_RUNS = delete(table_of(ExternalRun)).where(_runs.job_id == bindparam("job_id"))
_FORGET_RUN = _FORGET_RUNS.where(_runs.step == bindparam("step"), _runs.provider == bindparam("provider"))


def _lease(job: Job) -> dict[str, Any]:
    return {"owned_id": job.id, "owned_token": job.lease_token}


def _owned(job: Job) -> tuple[Any, ...]:
    return (
        column(Job.id) == job.id,
        column(Job.status) == JobStatus.RUNNING,
        column(Job.lease_token) == job.lease_token,
    )


def _update_owned(session: Session, job: Job, values: dict[str, Any]) -> bool:
    return rows_changed(session.execute(_SET_OWNED, values | _lease(job))) == 1


def _cost_of(job: Job) -> Any:
    return select(_jobs.cost_usd).where(_jobs.id == job.id).scalar_subquery()


def _keep(session: Session, attempt: AttemptRow) -> float:
    """An attempt as a row; what was paid for one external run is counted once. What it has cost."""
    values = values_of(attempt)
    del values["id"]
    if attempt.external_id is not None and session.scalar(_IS_PAID, values):
        values["cost_usd"] = 0.0
    session.execute(_ADD_ATTEMPT, values)
    return float(values["cost_usd"])
