"""What happened lately: today's attempts, the last hours' ends, failures, usage. Over both databases."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from relume.database import Database
from relume.errors import ProviderUnavailable
from relume.imaging.photo import Photo
from relume.jobs.models import ENDED, AttemptRow, JobStatus, UsageDay
from relume.jobs.recent import (
    RecentFigures,
    Tried,
    Usage,
    attempts_query,
    ends_query,
    failures_query,
    runs_query,
)
from relume.ports import RunContext
from relume.tasks import Task
from tests.backends.test_figures import fill, plan
from tests.engine import Engine

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def recent(database: Database) -> RecentFigures:
    return RecentFigures(database)


async def attempt(engine: Engine, provider: str, at: datetime, seconds: float, **more: Any) -> None:
    job = await engine.submit()
    row = AttemptRow(
        job_id=job.id, run=1, task="upscale", provider=provider, started_at=at, seconds=seconds, **more
    )
    await engine.repository.leases.record_attempt(row)


async def test_attempts_of_today_by_provider(engine: Engine, recent: RecentFigures) -> None:
    midnight = NOON.replace(hour=0)
    await attempt(engine, "replicate", midnight - timedelta(seconds=1), 1.0, cost_usd=1.0)
    for seconds in (4.0, 6.0, 50.0):
        await attempt(engine, "replicate", midnight + timedelta(seconds=seconds), seconds, cost_usd=0.5)
    await attempt(engine, "replicate", NOON, 99.0, error_class="ProviderTimeout", cost_usd=0.25)
    await attempt(engine, "local", NOON, 2.0, error_class="InternalError")
    assert await recent.by_provider(midnight) == {
        "replicate": Tried(succeeded=3, failed=1, cost_usd=1.75, median_seconds=6.0),
        "local": Tried(succeeded=0, failed=1, cost_usd=0.0, median_seconds=None),
    }


async def test_ends_by_hour_and_the_last_failures(engine: Engine, recent: RecentFigures) -> None:
    async def fail(_task: Task, _photo: Photo, _context: RunContext) -> None:
        raise ProviderUnavailable("It is away.")

    first = NOON - timedelta(hours=1)
    await engine.ended(await engine.submit())
    engine.clock.forward(minutes=90)
    engine.provider.behaviour = fail
    failed = [await engine.ended(await engine.submit()) for _ in range(2)]
    cancelled = await engine.submit()
    await engine.service.cancel(cancelled.id)
    await engine.submit()
    hours = await recent.ended_by_hour(first, 3)
    assert [[hour[status] for status in ENDED] for hour in hours] == [
        [0, 0, 0],
        [1, 0, 0],
        [0, 2, 1],
    ]
    assert hours[2][JobStatus.FAILED] == 2
    (last,) = await recent.failures(1)
    assert last.id in {job.id for job in failed}
    assert {job.id for job in await recent.failures(20)} == {job.id for job in failed}


async def test_usage_of_a_day(database: Database, recent: RecentFigures) -> None:
    async with database.transaction() as session:
        for client, day, jobs in (("a", 1, 3), ("b", 1, 4), ("a", 2, 50)):
            session.add(UsageDay(client=client, day=date(2026, 1, day), jobs=jobs, cost_usd=jobs / 10))
    used = await recent.usage(date(2026, 1, 1))
    assert (used.clients, used.jobs, round(used.cost_usd, 6)) == (2, 7, 0.7)
    assert await recent.usage(date(2026, 1, 3)) == Usage()


async def test_only_jobs_that_were_worked_on_tell_how_long_work_takes(
    engine: Engine, recent: RecentFigures
) -> None:
    async def slowly(_task: Task, _photo: Photo, _context: RunContext) -> None:
        engine.clock.forward(seconds=4)

    engine.provider.behaviour = slowly
    runner = engine.runner(served_by="model 1")
    first, cached = await engine.submit(strength=1.0), await engine.submit(strength=1.0)
    await runner.run(first.id)
    await runner.run(cached.id)
    rendered = await engine.submit(render_of=await engine.repository.get(first.id), strength=0.5)
    await runner.run(rendered.id)
    (run,) = await recent.runs("restoration/gfpgans-1.4")
    assert (run.seconds, run.megapixels, run.providers) == (4.0, 128 * 96 / 1e6, ("scripted",))
    assert await recent.runs("enlarging/builtin-1") == []


async def test_each_question_is_answered_from_an_index(database: Database) -> None:
    await fill(database)
    for query, index in (
        (ends_query(NOON, 24), "ix_jobs_status_finished_at"),
        (failures_query().limit(20), "ix_jobs_status_finished_at"),
        (runs_query("restoration/gfpgans-1.4"), "ix_jobs_succeeded"),
    ):
        found = await plan(database, query)
        assert index in found, found
    if database.url.get_backend_name() == "sqlite":  # PostgreSQL reads an empty table as a whole.
        assert "COVERING INDEX ix_attempts_started_at" in await plan(database, attempts_query(NOON))
