"""How much one client may ask for and spend in a day (UTC). The counts are rows of `usage_days`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from sqlalchemy import and_, true, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from relume.errors import QuotaExceeded
from relume.jobs.models import Job, UsageDay, column
from relume.jobs.upsert import upsert


@dataclass(frozen=True, slots=True)
class Quota:
    """What each client may use in a day; 0 is no limit. It makes statements for its caller's transaction."""

    jobs_per_day: int = 0
    usd_per_day: float = 0.0

    @property
    def is_on(self) -> bool:
        return bool(self.jobs_per_day or self.usd_per_day)

    def applies_to(self, client: str | None) -> bool:
        """Who has no name is not counted."""
        return client is not None and self.is_on

    def taking(self, session: AsyncSession | Session, job: Job) -> Any:
        """The statement that counts a job that is being accepted; it returns no row where there is no room.

        It looks and counts in one: of two requests for the last place, one gets it.
        """
        client, day = usage_key(job.client, job.created_at)
        insert = upsert(session, UsageDay).values(client=client, day=day, jobs=1, cost_usd=0.0)
        return insert.on_conflict_do_update(
            index_elements=["client", "day"],
            set_={"jobs": column(UsageDay.jobs) + 1},
            where=and_(*self._room()),
        ).returning(column(UsageDay.jobs))

    def take(self, session: Session, job: Job) -> None:
        """Count a job that is being accepted, in its transaction. Raises QuotaExceeded."""
        if not self.applies_to(job.client):
            return
        if session.execute(self.taking(session, job)).scalar_one_or_none() is None:
            used = session.get(UsageDay, usage_key(job.client, job.created_at))
            raise self.exceeded(used, job.created_at)

    def charging(self, job: Job, cost_usd: Any) -> Any:
        """The statement that adds what a job has cost, a number or a query, to the day it was accepted on."""
        client, day = usage_key(job.client, job.created_at)
        row = (column(UsageDay.client) == client, column(UsageDay.day) == day)
        return update(UsageDay).where(*row).values(cost_usd=column(UsageDay.cost_usd) + cost_usd)

    def check(self, used: UsageDay | None, now: datetime) -> None:
        """Raises QuotaExceeded when a day is used up."""
        if used is None:
            return
        is_out_of_jobs = bool(self.jobs_per_day) and used.jobs >= self.jobs_per_day
        is_out_of_money = bool(self.usd_per_day) and used.cost_usd >= self.usd_per_day
        if is_out_of_jobs or is_out_of_money:
            raise self.exceeded(used, now)

    def exceeded(self, used: UsageDay | None, now: datetime) -> QuotaExceeded:
        is_out_of_jobs = used is not None and 0 < self.jobs_per_day <= used.jobs
        what = f"{self.jobs_per_day} photos or prompts" if is_out_of_jobs else f"${self.usd_per_day:g}"
        return QuotaExceeded(
            f"Your quota for today is used up: the limit is {what} a day. A new day begins at midnight UTC.",
            retry_after_seconds=seconds_left(now),
        )

    def _room(self) -> Iterator[Any]:
        """What is true of a row that has room for one more job."""
        yield true()
        if self.jobs_per_day:
            yield column(UsageDay.jobs) < self.jobs_per_day
        if self.usd_per_day:
            yield column(UsageDay.cost_usd) < self.usd_per_day


NO_QUOTA = Quota()


def seconds_left(now: datetime) -> int:
    """Until the day (UTC) ends, rounded up; at least 1."""
    tomorrow = datetime.combine(_day(now) + timedelta(days=1), time(), UTC)
    return int((tomorrow - now).total_seconds()) + 1


def usage_key(client: str | None, moment: datetime) -> tuple[str | None, date]:
    """The primary key of a client's row of a day."""
    return client, _day(moment)


def _day(moment: datetime) -> date:
    return moment.astimezone(UTC).date()
