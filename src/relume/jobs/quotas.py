"""How much one client may ask for and spend in a day (UTC). The counts are rows of `usage_days`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from sqlalchemy import and_, select, true, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from relume.errors import QuotaExceeded
from relume.jobs.models import Job, UsageDay
from relume.jobs.upsert import upsert


@dataclass(frozen=True, slots=True)
class Quota:
    """What each client may use in a day; 0 is no limit. Its methods work within their caller's transaction."""

    jobs_per_day: int = 0
    usd_per_day: float = 0.0

    @property
    def is_on(self) -> bool:
        return bool(self.jobs_per_day or self.usd_per_day)

    async def check(self, session: AsyncSession, client: str | None, now: datetime) -> None:
        """Changes nothing. Raises QuotaExceeded for a client that has used up the day."""
        if client is None or not self.is_on:
            return
        used = await session.get(UsageDay, (client, _day(now)))
        if used is not None and not self._has_room(used):
            raise self._exceeded(used, now)

    def take(self, session: Session, job: Job) -> None:
        """Count a job that is being accepted. Raises QuotaExceeded.

        One statement looks and counts: of two requests for the last place, one gets it.
        """
        if job.client is None or not self.is_on:
            return
        day = _day(job.created_at)
        insert = upsert(session, UsageDay).values(client=job.client, day=day, jobs=1, cost_usd=0.0)
        counted = insert.on_conflict_do_update(
            index_elements=["client", "day"],
            set_={"jobs": _c(UsageDay.jobs) + 1},
            where=and_(*self._room()),
        ).returning(_c(UsageDay.jobs))
        if session.execute(counted).scalar_one_or_none() is None:
            used = session.execute(select(UsageDay).where(*_row(job.client, day))).scalar_one()
            raise self._exceeded(used, job.created_at)

    def charge(self, session: Session, job: Job, cost_usd: Any) -> None:
        """Add what a job has cost, a number or a query, to the day it was accepted on."""
        if job.client is None or not self.is_on:
            return
        total = _c(UsageDay.cost_usd) + cost_usd
        row = _row(job.client, _day(job.created_at))
        session.execute(update(UsageDay).where(*row).values(cost_usd=total))

    def _room(self) -> Iterator[Any]:
        """What is true of a row that has room for one more job."""
        yield true()
        if self.jobs_per_day:
            yield _c(UsageDay.jobs) < self.jobs_per_day
        if self.usd_per_day:
            yield _c(UsageDay.cost_usd) < self.usd_per_day

    def _has_room(self, used: UsageDay) -> bool:
        return not self._is_out_of_jobs(used) and not (self.usd_per_day and used.cost_usd >= self.usd_per_day)

    def _is_out_of_jobs(self, used: UsageDay) -> bool:
        return bool(self.jobs_per_day) and used.jobs >= self.jobs_per_day

    def _exceeded(self, used: UsageDay, now: datetime) -> QuotaExceeded:
        what = (
            f"the limit is {self.jobs_per_day} photos or prompts a day"
            if self._is_out_of_jobs(used)
            else f"the limit is ${self.usd_per_day:g} a day"
        )
        return QuotaExceeded(
            f"Your quota for today is used up: {what}. A new day begins at midnight UTC.",
            retry_after_seconds=seconds_left(now),
        )


NO_QUOTA = Quota()


def seconds_left(now: datetime) -> int:
    """Until the day (UTC) ends, rounded up; at least 1."""
    tomorrow = datetime.combine(_day(now) + timedelta(days=1), time(), UTC)
    return int((tomorrow - now).total_seconds()) + 1


def _day(moment: datetime) -> date:
    return moment.astimezone(UTC).date()


def _row(client: str, day: date) -> tuple[Any, Any]:
    return _c(UsageDay.client) == client, _c(UsageDay.day) == day


def _c(attribute: Any) -> Any:
    """A mapped attribute as the column it is: SQLModel types it as the value it holds."""
    return attribute
