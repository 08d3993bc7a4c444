"""Every query on what happened lately: today's attempts, the last hours' ends, failures, and how long jobs took."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from statistics import median
from typing import Any

from sqlalchemy import Select, case, func, select

from relume.jobs.durations import Run
from relume.jobs.models import ENDED, AttemptRow, Job, JobStatus, UsageDay, column
from relume.jobs.transactions import Transactions
from relume.jobs.unbroken import unbroken

HOUR = timedelta(hours=1)
_TIMED_ATTEMPTS = 500
"""Of how many of the latest attempts the usual time is told."""
_TIMED_JOBS = 200


@dataclass(frozen=True, slots=True)
class Tried:
    """What one provider has done since some moment."""

    succeeded: int = 0
    failed: int = 0
    cost_usd: float = 0.0
    median_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """What all counted clients have used on one day."""

    clients: int = 0
    jobs: int = 0
    cost_usd: float = 0.0


@unbroken
class RecentFigures:
    """Indexed queries only: what they read grows with the day, not with the table."""

    def __init__(self, database: Transactions) -> None:
        self._database = database

    async def by_provider(self, since: datetime) -> dict[str, Tried]:
        async with self._database.reading() as session:
            sums = (await session.execute(attempts_query(since))).all()
            times = (await session.execute(_attempt_times(since))).all()
        seconds: dict[str, list[float]] = {}
        for provider, taken in times:
            seconds.setdefault(provider, []).append(taken)
        tried = {row[0]: Tried(row[1], row[2] - row[1], row[3]) for row in sums}
        return {
            provider: replace(
                found,
                median_seconds=round(median(seconds[provider]), 3) if provider in seconds else None,
            )
            for provider, found in tried.items()
        }

    async def ended_by_hour(self, first: datetime, hours: int) -> list[dict[JobStatus, int]]:
        """How many jobs ended in what way, in each of the hours from `first` on."""
        found: list[dict[JobStatus, int]] = [dict.fromkeys(ENDED, 0) for _ in range(hours)]
        async with self._database.reading() as session:
            for hour, status, number in (await session.execute(ends_query(first, hours))).all():
                found[hour][status] = number
        return found

    async def failures(self, limit: int) -> list[Job]:
        """The jobs that failed last, the latest first."""
        async with self._database.reading() as session:
            return list((await session.scalars(failures_query().limit(limit))).all())

    async def usage(self, day: date) -> Usage:
        number, jobs, cost = (
            func.count(),
            func.sum(column(UsageDay.jobs)),
            func.sum(column(UsageDay.cost_usd)),
        )
        query = select(number, func.coalesce(jobs, 0), func.coalesce(cost, 0.0)).where(
            column(UsageDay.day) == day
        )
        async with self._database.reading() as session:
            return Usage(*(await session.execute(query)).one())

    async def runs(self, model_id: str) -> list[Run]:
        """The latest jobs of a model that providers have worked on, for what is to be expected of the next."""
        async with self._database.reading() as session:
            rows = (await session.execute(runs_query(model_id))).all()
        return [
            Run(
                seconds=(finished - started).total_seconds(),
                megapixels=width * height / 1e6,
                providers=_providers(report),
            )
            for started, finished, width, height, report in rows
        ]


def attempts_query(since: datetime) -> Select[Any]:
    """Provider, how many attempts succeeded, how many there were, and their cost. Read from an index alone."""
    succeeded = func.sum(case((column(AttemptRow.error_class).is_(None), 1), else_=0))
    provider = column(AttemptRow.provider)
    return (
        select(provider, succeeded, func.count(), func.sum(column(AttemptRow.cost_usd)))
        .where(column(AttemptRow.started_at) >= since)
        .group_by(provider)
    )


def _attempt_times(since: datetime) -> Select[Any]:
    return (
        select(column(AttemptRow.provider), column(AttemptRow.seconds))
        .where(column(AttemptRow.started_at) >= since, column(AttemptRow.error_class).is_(None))
        .order_by(column(AttemptRow.started_at).desc())
        .limit(_TIMED_ATTEMPTS)
    )


def ends_query(first: datetime, hours: int) -> Select[Any]:
    """Number of the hour, status, and how many. Read from an index alone."""
    ended = column(Job.finished_at)
    bounds = [(ended < first + (hour + 1) * HOUR, hour) for hour in range(hours - 1)]
    hour = case(*bounds, else_=hours - 1).label("hour")
    return (
        select(hour, column(Job.status), func.count())
        .where(column(Job.status).in_(ENDED), ended >= first, ended < first + hours * HOUR)
        .group_by("hour", column(Job.status))
    )


def failures_query() -> Select[Any]:
    return select(Job).where(column(Job.status) == JobStatus.FAILED).order_by(column(Job.finished_at).desc())


def runs_query(model_id: str) -> Select[Any]:
    """Of the latest jobs, those that made attempts: what came from the cache or was rendered took no time."""
    latest = (
        select(column(Job.id))
        .where(column(Job.model_id) == model_id, column(Job.status) == JobStatus.SUCCEEDED)
        .order_by(column(Job.finished_at).desc())
        .limit(_TIMED_JOBS)
    )
    attempted = select(AttemptRow).where(column(AttemptRow.job_id) == column(Job.id)).exists()
    wanted = (Job.started_at, Job.finished_at, Job.result_width, Job.result_height, Job.report)
    return select(*map(column, wanted)).where(
        column(Job.id).in_(latest), column(Job.result_width).is_not(None), attempted
    )


def _providers(report: Sequence[dict[str, Any]] | None) -> tuple[str, ...]:
    return tuple(part["provider"] for part in report or ())
