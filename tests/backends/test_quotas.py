"""Quotas: counted with the job, never overrun, given back with the day."""

from __future__ import annotations

import asyncio
from datetime import date, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from relume.database import Database
from relume.errors import QuotaExceeded, RelumeError
from relume.jobs.models import AttemptRow, Job, UsageDay
from relume.jobs.quotas import Quota, seconds_left
from tests import photos
from tests.engine import Engine, build_engine

TODAY = date(2026, 1, 1)


@pytest.fixture
def engine(database: Database, tmp_path: Path) -> Engine:
    """Three jobs and a dollar a day."""
    return build_engine(database, tmp_path / "files", quota=Quota(jobs_per_day=3, usd_per_day=1.0))


async def used(engine: Engine, client: str = "ann", day: date = TODAY) -> tuple[int, float] | None:
    async with engine.database.reading() as session:
        row = await session.get(UsageDay, (client, day))
    return (row.jobs, row.cost_usd) if row else None


async def accepted(engine: Engine, client: str = "ann", key: str | None = None) -> UUID | str:
    try:
        return (await engine.submit(client=client, key=key)).id
    except RelumeError as error:
        return error.code


async def spent(engine: Engine, job: Job, cost_usd: float) -> None:
    """The job ends, after a try that cost so much."""
    await engine.repository.leases.record_attempt(
        AttemptRow(
            job_id=job.id,
            run=1,
            task="upscale",
            provider="replicate",
            started_at=engine.clock.now(),
            seconds=1.0,
            cost_usd=cost_usd,
        )
    )
    await engine.runner().run(job.id)


async def test_of_many_requests_at_once_only_so_many_are_accepted(engine: Engine) -> None:
    found = await asyncio.gather(*(accepted(engine) for _ in range(8)))
    assert sum(isinstance(one, UUID) for one in found) == 3
    assert found.count("quota_exceeded") == 5
    assert await used(engine) == (3, 0.0)
    assert len(engine.files()) == 3, "what was refused leaves no file"
    assert sum((await engine.repository.counts()).values()) == 3


async def test_each_client_has_its_own_and_a_new_day_begins_anew(engine: Engine) -> None:
    for _ in range(3):
        await engine.submit(client="ann")
    assert isinstance(await accepted(engine, "bob"), UUID)
    with pytest.raises(QuotaExceeded, match="3 photos or prompts a day") as refusal:
        await engine.submit(client="ann")
    assert refusal.value.extra["retry_after_seconds"] == 12 * 3600 + 1

    engine.clock.forward(seconds=refusal.value.extra["retry_after_seconds"])
    assert isinstance(await accepted(engine), UUID)
    assert await used(engine, day=TODAY + timedelta(days=1)) == (1, 0.0)


async def test_who_has_no_name_has_no_quota(engine: Engine) -> None:
    for _ in range(4):
        await engine.submit()


async def test_a_repetition_is_not_counted_again(engine: Engine) -> None:
    first = await asyncio.gather(*(accepted(engine, key="same") for _ in range(5)))
    assert len(set(first)) == 1
    assert await used(engine) == (1, 0.0)
    for _ in range(2):
        await engine.submit(client="ann")
    assert await accepted(engine, key="same") == first[0], "also when the day is used up"
    assert await used(engine) == (3, 0.0)


async def test_a_refused_photo_is_not_counted(engine: Engine) -> None:
    with pytest.raises(RelumeError):
        await engine.submit(b"no photo", client="ann")
    assert await used(engine) is None


async def test_dollars_are_counted_when_a_job_ends(engine: Engine) -> None:
    await spent(engine, await engine.submit(client="ann"), 0.4)
    assert await used(engine) == (1, 0.4)
    late = await engine.submit(client="ann")
    engine.clock.forward(hours=13)
    await spent(engine, late, 0.6)
    assert await used(engine) == (2, 1.0), "on the day the job was accepted"
    assert isinstance(await accepted(engine), UUID), "the next day"

    engine.clock.forward(hours=-13)
    with pytest.raises(QuotaExceeded, match=r"the limit is \$1 a day"):
        await engine.submit(client="ann")


async def test_the_janitor_forgets_old_days(engine: Engine) -> None:
    await engine.submit(client="ann")
    engine.clock.forward(days=400)
    await engine.janitor.sweep()
    assert await used(engine) == (1, 0.0)
    engine.clock.forward(days=1)
    await engine.janitor.sweep()
    assert await used(engine) is None


async def test_without_quotas_nobody_is_counted(database: Database, tmp_path: Path) -> None:
    engine = build_engine(database, tmp_path / "free")
    await spent(engine, await engine.submit(photos.encoded("PNG"), client="ann"), 5.0)
    assert await used(engine) is None


def test_the_day_ends_at_midnight_utc(engine: Engine) -> None:
    assert seconds_left(engine.clock.now() + timedelta(hours=11, minutes=59, seconds=59.5)) == 1
    assert seconds_left(engine.clock.now() - timedelta(hours=12)) == 86_401
