"""Progress, and those who wait for it."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest

from relume.errors import NotFound
from relume.jobs.models import JobStatus
from tests.engine import LEASE, Engine
from tests.providers import Held


async def test_progress_never_goes_back(engine: Engine) -> None:
    job = await engine.submit()
    claimed = await engine.repository.leases.claim(job.id, engine.clock.now(), LEASE)
    assert claimed is not None
    await engine.repository.leases.progress(claimed, 0.7, "denoise")
    await engine.repository.leases.progress(claimed, 0.2, "decode")
    now = await engine.repository.get(job.id)
    assert (now.progress, now.step) == (0.7, "decode")


async def test_a_watcher_sees_the_job_through(engine: Engine) -> None:
    held = Held()
    engine.provider.behaviour = held
    job = await engine.submit()
    running: asyncio.Task[None] | None = None
    seen: list[tuple[str, float]] = []
    async for now, step in engine.service.watch(job.id):
        seen.append((now.status, now.progress))
        running = running or asyncio.create_task(engine.runner().run(job.id))
        if step == "held":
            held.go.set()
    assert running is not None
    await running
    assert seen[0][0] == "queued"
    assert seen[-1] == ("succeeded", 1.0)
    assert [progress for _, progress in seen] == sorted(progress for _, progress in seen)


async def test_a_watcher_in_another_process_sees_the_end_by_looking(engine: Engine) -> None:
    job = await engine.submit()
    watching = engine.service.watch(job.id)
    assert (await anext(watching))[0].status is JobStatus.QUEUED
    other = engine.runner()
    other._events = type(engine.events)()
    await other.run(job.id)
    states = [now.status async for now, _ in watching]
    assert states[-1] is JobStatus.SUCCEEDED


async def test_an_unknown_job_is_not_found(engine: Engine) -> None:
    for look in (engine.service.get, engine.service.cancel, engine.service.open_result):
        with pytest.raises(NotFound):
            await look(uuid4())
