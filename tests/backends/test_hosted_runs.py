"""Runs at hosted providers are remembered, and counted once."""

from __future__ import annotations

import pytest

from relume.imaging.photo import Photo
from relume.jobs.external_ids import JobExternalIds
from relume.jobs.models import AttemptRow, JobStatus
from relume.ports import RunContext
from relume.tasks import Task
from tests.engine import LEASE, Engine


async def test_a_hosted_run_is_remembered_until_the_job_has_ended(engine: Engine) -> None:
    job = await engine.submit()
    dead = await engine.repository.leases.claim(job.id, engine.clock.now(), LEASE)
    assert dead is not None
    await JobExternalIds(dead, engine.repository.leases, engine.clock).remember(0, "replicate", "p1")
    await JobExternalIds(dead, engine.repository.leases, engine.clock).remember(0, "replicate", "p2")
    recalled: list[str | None] = []

    async def recalls(_task: Task, _photo: Photo, context: RunContext) -> None:
        recalled.append(await context.external_ids.recall(context.step, "replicate"))
        recalled.append(await context.external_ids.recall(context.step, "cog"))

    engine.provider.behaviour = recalls
    engine.clock.forward(seconds=31)
    assert (await engine.ended(job)).status is JobStatus.SUCCEEDED
    assert recalled == ["p2", None]
    assert await JobExternalIds(dead, engine.repository.leases, engine.clock).recall(0, "replicate") is None


async def test_what_was_paid_for_one_hosted_run_is_counted_once(engine: Engine) -> None:
    job = await engine.submit()
    claimed = await engine.repository.leases.claim(job.id, engine.clock.now(), LEASE)
    assert claimed is not None
    for run, external_id in ((1, "p1"), (2, "p1"), (2, "p2")):
        attempt = AttemptRow(
            job_id=job.id,
            run=run,
            task="upscale",
            provider="replicate",
            external_id=external_id,
            started_at=engine.clock.now(),
            seconds=1.0,
            cost_usd=0.002,
        )
        await engine.repository.leases.record_attempt(attempt)
    await engine.repository.leases.finish(claimed, None, status=JobStatus.SUCCEEDED)
    assert (await engine.repository.get(job.id)).cost_usd == pytest.approx(0.004)
