"""What several processes count in one database, their signs of life, and the queries of gauges."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Select, insert, text
from sqlalchemy.exc import OperationalError

from relume import __version__
from relume.database import Database
from relume.errors import ProviderUnavailable
from relume.imaging.photo import Photo
from relume.jobs.figures import Figures, LaneLoad, running_query, waiting_query
from relume.jobs.models import Job, JobStatus
from relume.jobs.pulse import ALIVE, Pulse
from relume.jobs.repository.files import expired_query, staged_query
from relume.jobs.tallies import MemoryMeters, TallyKey
from relume.metrics import COST, JOB_DURATION, WEBHOOKS
from relume.ports import RunContext
from relume.tasks import Task
from tests.engine import Engine, HandClock

ENDED_JOBS = 20_000


@pytest.fixture
def figures(database: Database) -> Figures:
    return Figures(database)


def pulse(figures: Figures, meters: MemoryMeters | None = None, clock: HandClock | None = None) -> Pulse:
    lanes = ("local", "hosted")
    return Pulse(figures, meters or MemoryMeters(), clock or HandClock(), kind="worker", lanes=lanes)


def key(name: str, **labels: str) -> TallyKey:
    inside = ",".join(f'"{label}":"{value}"' for label, value in sorted(labels.items()))
    return name, f"{{{inside}}}"


async def test_counts_of_all_processes_add_up(figures: Figures) -> None:
    first, second = MemoryMeters(), MemoryMeters()
    first.count(WEBHOOKS, outcome="delivered")
    second.count(WEBHOOKS, 2, outcome="delivered")
    second.count(COST, 0.25, task="upscale", provider="replicate")
    await asyncio.gather(pulse(figures, first).flush(), pulse(figures, second).flush())
    first.count(WEBHOOKS, outcome="delivered")
    await pulse(figures, first).flush()
    assert await figures.totals() == {
        key("relume_webhook_deliveries_total", outcome="delivered"): 4,
        key("relume_provider_cost_usd_total", provider="replicate", task="upscale"): 0.25,
    }


async def test_processes_that_count_the_same_in_another_order_do_not_block_each_other(
    figures: Figures,
) -> None:
    counts = {key("relume_webhook_deliveries_total", outcome=str(number)): 1.0 for number in range(50)}
    backwards = dict(reversed(counts.items()))
    await asyncio.gather(*(figures.add(one) for _ in range(10) for one in (counts, backwards)))
    assert set((await figures.totals()).values()) == {20.0}


async def test_an_observation_is_counted_in_its_bucket(figures: Figures) -> None:
    meters = MemoryMeters()
    for seconds in (0.1, 0.2, 7.0, 5000.0):
        meters.observe(JOB_DURATION, seconds, contract="v1", lane="local")
    await pulse(figures, meters).flush()
    labels = {"contract": "v1", "lane": "local"}
    bucket = f"{JOB_DURATION.name}_bucket"
    assert await figures.totals() == {
        key(bucket, **labels, le="0.1"): 1,
        key(bucket, **labels, le="0.25"): 1,
        key(bucket, **labels, le="10.0"): 1,
        key(bucket, **labels, le="+Inf"): 1,
        key(f"{JOB_DURATION.name}_sum", **labels): pytest.approx(5007.3),
    }


@contextmanager
def broken(figures: Figures, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    async def fail(_counts: dict[TallyKey, float]) -> None:
        raise OperationalError("insert", {}, Exception("the database is away"))

    with monkeypatch.context() as patched:
        patched.setattr(figures, "add", fail)
        yield


async def test_counts_outlast_a_database_that_is_away(
    figures: Figures, monkeypatch: pytest.MonkeyPatch
) -> None:
    meters = MemoryMeters()
    one = pulse(figures, meters)
    meters.count(WEBHOOKS, outcome="failed")
    with broken(figures, monkeypatch):
        await one.beat()
        meters.count(WEBHOOKS, outcome="failed")
        with pytest.raises(OperationalError):
            await one.flush()
    meters.count(WEBHOOKS, outcome="failed")
    await one.beat()
    await one.beat()
    assert list((await figures.totals()).values()) == [3]


async def test_a_process_is_seen_while_it_lives_and_forgotten_after(figures: Figures) -> None:
    clock = HandClock()
    one, other = pulse(figures, clock=clock), pulse(figures, clock=clock)
    await one.beat()
    await other.beat()
    (row, _) = await figures.processes(clock.now() - ALIVE)
    assert (row.kind, row.lanes, row.version) == ("worker", "local,hosted", __version__)
    assert row.started_at == clock.now()

    await one.stop()
    assert len(await figures.processes(clock.now() - ALIVE)) == 1, "who stops says so"

    clock.forward(seconds=31)
    assert await figures.processes(clock.now() - ALIVE) == []
    await other.beat()
    (row,) = await figures.processes(clock.now() - ALIVE)
    assert row.seen_at == clock.now()

    clock.forward(minutes=61)
    await one.beat()
    assert len(await figures.processes(clock.now() - timedelta(days=1))) == 1, "the dead one is gone"


async def test_what_waits_and_runs_is_told_by_lane(engine: Engine, figures: Figures) -> None:
    assert await figures.lanes() == {}
    accepted_at = engine.clock.now()
    await engine.submit()
    engine.clock.forward(minutes=2)
    running = await engine.submit()
    assert await figures.lanes() == {"local": LaneLoad(waiting=2, oldest_since=accepted_at)}
    await engine.repository.leases.claim(running.id, engine.clock.now(), timedelta(seconds=30))
    assert await figures.lanes() == {"local": LaneLoad(waiting=1, oldest_since=accepted_at, running=1)}


def is_sqlite(database: Database) -> bool:
    return database.url.get_backend_name() == "sqlite"


async def fill(database: Database) -> None:
    """Many ended jobs and a few that wait, as in a service that has run for a while."""
    now = HandClock().now()
    ended = {
        "contract": "v1",
        "model_id": "restoration/builtin-1",
        "strength": 1.0,
        "scale": 1,
        "progress": 1.0,
        "cancel_requested": False,
        "cost_usd": 0.0,
        "runs": 1,
        "lane": "local",
        "available_at": now,
        "created_at": now,
        "status": JobStatus.SUCCEEDED,
        "files_expire_at": now - timedelta(days=1),
        "files_deleted_at": now,
    }
    rows = [ended | {"id": uuid4()} for _ in range(ENDED_JOBS)]
    rows += [ended | {"id": uuid4(), "status": JobStatus.QUEUED} for _ in range(20)]
    async with database.transaction() as session:
        await session.execute(insert(Job), rows)
    if not is_sqlite(database):  # PostgreSQL does so by itself, SQLite does not.
        async with database.transaction() as session:
            await session.execute(text("analyze"))


async def plan(database: Database, query: Select[Any]) -> str:
    written = str(query.compile(database.engine.sync_engine, compile_kwargs={"literal_binds": True}))
    explain = "explain query plan" if is_sqlite(database) else "explain"
    async with database.reading() as session:
        return "\n".join(str(tuple(row)) for row in await session.execute(text(f"{explain} {written}")))


async def test_gauges_read_an_index_and_not_the_table(database: Database) -> None:
    await fill(database)
    for query in (waiting_query(), running_query()):
        found = await plan(database, query)
        assert "ix_jobs_status" in found, found
        assert "Seq Scan" not in found, found
        assert "SCAN jobs" not in found, found


async def test_chores_look_only_at_what_is_left_to_do(database: Database) -> None:
    await fill(database)
    for query, index in (
        (staged_query(), "ix_jobs_staged"),
        (expired_query(HandClock().now()), "ix_jobs_files_expire_at"),
    ):
        found = await plan(database, query)
        assert index in found, found


async def test_the_engine_counts_jobs_and_attempts(engine: Engine) -> None:
    async def fail(_task: Task, _photo: Photo, _context: RunContext) -> None:
        raise ProviderUnavailable("It is away.")

    await engine.ended(await engine.submit())
    engine.provider.behaviour = fail
    await engine.ended(await engine.submit())
    await engine.service.cancel((await engine.submit()).id)
    counted = engine.meters.take()

    job = {"contract": "v1", "model": "restoration/gfpgans-1.4"}
    done = job | {"provider": "scripted", "status": "succeeded", "outcome": "restored"}
    failed = job | {"provider": "none", "status": "failed", "outcome": "failed"}
    cancelled = job | {"provider": "none", "status": "cancelled", "outcome": "cancelled"}
    assert counted[key("relume_jobs_accepted_total", **job)] == 3
    assert [counted[key("relume_jobs_total", **labels)] for labels in (done, failed, cancelled)] == [1, 1, 1]
    assert counted[key("relume_job_failures_total", contract="v1", code="all_providers_failed")] == 1

    asked = {"provider": "scripted", "task": "restore_faces"}
    for outcome in ("succeeded", "failed"):
        assert counted[key("relume_provider_attempts_total", **asked, outcome=outcome)] == 1
    assert counted[key("relume_provider_failures_total", **asked, error="ProviderUnavailable")] == 1
    waits = [value for (name, _), value in counted.items() if name == "relume_job_wait_seconds_bucket"]
    assert sum(waits) == 2
    assert not [name for name, _ in counted if name == "relume_job_reruns_total"]


async def test_a_result_from_the_cache_is_counted_as_such_and_a_second_run_too(engine: Engine) -> None:
    for _ in range(2):
        await engine.runner(served_by="scripted").run((await engine.submit()).id)
    job = await engine.submit()
    await engine.repository.leases.claim(job.id, engine.clock.now(), timedelta(seconds=30))
    engine.clock.forward(seconds=31)
    await engine.runner(served_by="scripted").run(job.id)
    counted = engine.meters.take()
    done = {
        "contract": "v1",
        "model": "restoration/gfpgans-1.4",
        "status": "succeeded",
        "outcome": "restored",
    }
    assert counted[key("relume_jobs_total", **done, provider="scripted")] == 1
    assert counted[key("relume_jobs_total", **done, provider="cache")] == 2
    assert counted[key("relume_job_reruns_total", lane="local")] == 1
