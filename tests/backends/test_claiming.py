"""A job is one worker's at a time: leases, heartbeats, and what happens when a worker dies."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from relume.errors import LeaseLost
from relume.jobs.models import JobStatus
from relume.jobs.runner import MAX_RUNS
from tests.backends.conftest import BOTH_STORES
from tests.engine import LEASE, Engine
from tests.providers import Held


async def test_a_job_is_claimed_once(engine: Engine) -> None:
    job = await engine.submit()
    now = engine.clock.now()
    claims = await asyncio.gather(*(engine.repository.leases.claim(job.id, now, LEASE) for _ in range(8)))
    assert sum(claim is not None for claim in claims) == 1


@BOTH_STORES
async def test_an_abandoned_job_is_run_again_and_ends_once(engine: Engine) -> None:
    job = await engine.submit()
    dead = await engine.repository.leases.claim(job.id, engine.clock.now(), LEASE)
    assert dead is not None
    assert await engine.repository.due.ids(engine.clock.now()) == []
    engine.clock.forward(seconds=31)
    assert await engine.repository.due.ids(engine.clock.now()) == [(job.id, "local")]
    ended = await engine.ended(job)
    assert (ended.status, ended.runs) == (JobStatus.SUCCEEDED, 2)
    with pytest.raises(LeaseLost):
        await engine.repository.leases.finish(dead, None, status=JobStatus.FAILED)
    assert (await engine.repository.get(job.id)).status is JobStatus.SUCCEEDED


@BOTH_STORES
async def test_a_worker_that_lost_its_lease_publishes_nothing(engine: Engine) -> None:
    held = Held()
    engine.provider.behaviour = held
    job = await engine.submit()
    sleeper = asyncio.create_task(engine.runner(lease=timedelta(seconds=30)).run(job.id))
    await held.started.wait()
    engine.clock.forward(seconds=31)
    held.go.set()
    winner = await engine.repository.leases.claim(job.id, engine.clock.now(), LEASE)
    assert winner is not None
    await sleeper
    current = await engine.repository.get(job.id)
    assert (current.status, current.lease_token) == (JobStatus.RUNNING, winner.lease_token)
    engine.clock.forward(seconds=31)
    ended = await engine.ended(job)
    assert ended.status is JobStatus.SUCCEEDED
    assert f"results/{job.id}.png" in engine.files()


async def test_a_long_job_keeps_its_lease(engine: Engine) -> None:
    held = Held()
    engine.provider.behaviour = held
    job = await engine.submit()
    runner = engine.runner(lease=timedelta(seconds=0.3))
    running = asyncio.create_task(runner.run(job.id))
    await held.started.wait()
    for _ in range(4):
        engine.clock.forward(seconds=0.2)
        await asyncio.sleep(0.15)
    held.go.set()
    await running
    ended = await engine.repository.get(job.id)
    assert (ended.status, ended.runs) == (JobStatus.SUCCEEDED, 1)


async def test_a_job_that_kills_its_workers_is_given_up(engine: Engine) -> None:
    job = await engine.submit()
    for _ in range(MAX_RUNS):
        assert await engine.repository.leases.claim(job.id, engine.clock.now(), LEASE)
        engine.clock.forward(seconds=31)
    ended = await engine.ended(job)
    assert (ended.status, ended.error_code) == (JobStatus.FAILED, "job_interrupted")


async def test_a_stopped_worker_gives_its_job_back_at_once(engine: Engine) -> None:
    held = Held()
    engine.provider.behaviour = held
    job = await engine.submit()
    running = asyncio.create_task(engine.runner().run(job.id))
    await held.started.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    back = await engine.repository.get(job.id)
    assert (back.status, back.runs) == (JobStatus.QUEUED, 0)
