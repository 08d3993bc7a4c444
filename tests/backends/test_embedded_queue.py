"""The embedded queue over a real database."""

from __future__ import annotations

import asyncio

from tests.engine import LEASE, Engine


async def test_thirty_jobs_left_by_a_dead_process_end_once_each(engine: Engine) -> None:
    jobs = [await engine.submit(scale=1) for _ in range(30)]
    for job in jobs[:5]:
        assert await engine.repository.leases.claim(job.id, engine.clock.now(), LEASE)
    engine.clock.forward(seconds=31)
    async with engine.working_queue():
        while (await engine.repository.counts()).get("succeeded", 0) < 30:
            await asyncio.sleep(0.02)
    assert len(engine.provider.runs) == 30
    assert await engine.repository.counts() == {"succeeded": 30}


async def test_a_job_enqueued_twice_runs_once(engine: Engine) -> None:
    job = await engine.submit()
    async with engine.working_queue() as queue:
        for _ in range(3):
            queue.enqueue(job.id, "local")
        while not (await engine.repository.get(job.id)).status.has_ended:
            await asyncio.sleep(0.02)
    assert len(engine.provider.runs) == 1
