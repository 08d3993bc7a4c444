"""Cancelling a job, wherever it is."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from relume.errors import Conflict
from relume.jobs.models import JobStatus
from tests.engine import Engine
from tests.providers import Held


async def test_a_queued_job_is_cancelled_at_once(engine: Engine) -> None:
    job = await engine.service.cancel((await engine.submit()).id)
    assert (job.status, job.error_detail) == (JobStatus.CANCELLED, "The job was cancelled.")
    await engine.runner().run(job.id)
    assert engine.provider.runs == []


async def test_a_running_job_stops_at_its_next_step(engine: Engine) -> None:
    held = Held()
    engine.provider.behaviour = held
    job = await engine.submit()
    running = asyncio.create_task(engine.runner().run(job.id))
    await held.started.wait()
    await engine.service.cancel(job.id)
    async with asyncio.timeout(5):
        await running
    assert (await engine.repository.get(job.id)).status is JobStatus.CANCELLED
    assert engine.files() == [f"uploads/{job.id}.png"]


async def test_a_cancel_reaches_a_worker_in_another_process(engine: Engine) -> None:
    held = Held()
    engine.provider.behaviour = held
    job = await engine.submit()
    running = asyncio.create_task(engine.runner(lease=timedelta(seconds=0.3)).run(job.id))
    await held.started.wait()
    assert await engine.repository.request_cancel(job.id)
    async with asyncio.timeout(5):
        await running
    assert (await engine.repository.get(job.id)).status is JobStatus.CANCELLED


async def test_an_ended_job_cannot_be_cancelled(engine: Engine) -> None:
    job = await engine.ended(await engine.submit())
    with pytest.raises(Conflict):
        await engine.service.cancel(job.id)
