"""What the sweep hands out again, and to how many: over SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from relume.jobs.sweep import Sweep
from tests.engine import LEASE, Engine

PATIENCE = timedelta(seconds=60)


class Broker:
    """As many ids as the test says."""

    def __init__(self) -> None:
        self.held = 0
        self.asked = 0

    async def depth(self, lane: str) -> int:
        assert lane == "local"
        self.asked += 1
        return self.held


def sweep(engine: Engine, broker: Broker) -> Sweep:
    return Sweep(engine.repository.due, engine.clock, broker.depth, PATIENCE)


async def test_a_job_that_was_just_accepted_is_left_to_its_message(engine: Engine) -> None:
    await engine.submit()
    broker = Broker()
    engine.clock.forward(seconds=59)
    assert await sweep(engine, broker).overdue() == []
    assert broker.asked == 0, "nothing is late, so the broker need not be asked"


async def test_a_lost_message_is_repeated_once_and_then_has_its_time(engine: Engine) -> None:
    job = await engine.submit()
    engine.clock.forward(seconds=61)
    assert await sweep(engine, Broker()).overdue() == [(job.id, "local")]
    assert await sweep(engine, Broker()).overdue() == []
    engine.clock.forward(seconds=61)
    assert await sweep(engine, Broker()).overdue() == [(job.id, "local")]


async def test_a_long_backlog_is_not_a_loss(engine: Engine) -> None:
    jobs = []
    for _ in range(3):
        jobs.append(await engine.submit())
        engine.clock.forward(seconds=1)
    engine.clock.forward(seconds=61)
    broker = Broker()
    broker.held = 3
    assert await sweep(engine, broker).overdue() == []
    broker.held = 2
    assert await sweep(engine, broker).overdue() == [(jobs[0].id, "local")], "one is missing, the oldest"


async def test_a_job_of_a_dead_worker_is_repeated_when_its_lease_has_run_out(engine: Engine) -> None:
    job = await engine.submit()
    await engine.repository.leases.claim(job.id, engine.clock.now(), LEASE)
    broker = Broker()
    broker.held = 100
    engine.clock.forward(seconds=LEASE.total_seconds() - 1)
    assert await sweep(engine, broker).overdue() == []
    engine.clock.forward(seconds=2)
    assert await sweep(engine, broker).overdue() == [(job.id, "local")]
    assert await sweep(engine, broker).overdue() == [], "its message is on its way"
    engine.clock.forward(seconds=61)
    broker.held = 0
    assert await sweep(engine, broker).overdue() == [(job.id, "local")], "that message was lost, too"


async def test_a_job_that_was_given_back_is_repeated_at_once_when_it_may_run(engine: Engine) -> None:
    job = await engine.submit()
    claimed = await engine.repository.leases.claim(job.id, engine.clock.now(), LEASE)
    assert claimed is not None
    rest = timedelta(seconds=10)
    await engine.repository.leases.release(claimed, engine.clock.now() + rest, count_run=True)
    assert await sweep(engine, Broker()).overdue() == []
    engine.clock.forward(seconds=11)
    assert await sweep(engine, Broker()).overdue() == [(job.id, "local")]


async def test_ended_jobs_are_not_repeated(engine: Engine) -> None:
    await engine.ended(await engine.submit())
    engine.clock.forward(days=1)
    assert await sweep(engine, Broker()).overdue() == []


async def test_many_sweepers_hand_each_job_out_once(engine: Engine) -> None:
    jobs = [await engine.submit() for _ in range(20)]
    engine.clock.forward(seconds=61)
    found = await asyncio.gather(*(sweep(engine, Broker()).overdue() for _ in range(5)))
    ids = [job_id for part in found for job_id, _ in part]
    assert sorted(ids) == sorted(job.id for job in jobs)
