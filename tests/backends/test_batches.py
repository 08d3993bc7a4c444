"""Batches over both databases: all rows or none, places in the queue, retries that race."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from relume.errors import Conflict, IdempotencyMismatch, NotFound, ProviderUnavailable
from relume.imaging.limits import Limits
from relume.imaging.photo import Photo
from relume.jobs.batches import BatchService, BatchSubmission
from relume.jobs.models import Batch, Job, JobStatus
from relume.jobs.repository.batches import BatchRepository
from relume.jobs.repository.jobs import KeyTaken
from relume.ports import RunContext
from relume.recipes import ENHANCE_MODEL, build
from relume.tasks import Task
from tests import photos
from tests.engine import Engine

GOOD = photos.encoded("PNG")


@pytest.fixture
def batches(engine: Engine) -> BatchService:
    return BatchService(
        repository=BatchRepository(engine.database),
        jobs=engine.service,
        store=engine.store,
        queue=engine.queue,
        pipeline=engine.pipeline,
        clock=engine.clock,
        limits=Limits(),
    )


def submission(key: str | None = None, scale: int = 2) -> BatchSubmission:
    recipe = build(ENHANCE_MODEL, strength=1.0, scale=scale)
    return BatchSubmission("enhance", recipe, "local", {"scale": scale}, idempotency_key=key)


async def submitted(batches: BatchService, *files: bytes, key: str | None = None, scale: int = 2) -> Batch:
    async with batches.intake() as intake:
        for index, data in enumerate(files):
            await intake.receive(f"{index}.png", data, len(data))
        return await intake.submit(submission(key, scale))


async def run(engine: Engine, jobs: list[Job]) -> None:
    for job in jobs:
        await engine.runner().run(job.id)


async def fails(_task: Task, _photo: Photo, _context: RunContext) -> None:
    raise ProviderUnavailable("The service is away.")


async def test_a_batch_is_its_jobs_in_the_order_of_the_files(engine: Engine, batches: BatchService) -> None:
    batch = await submitted(batches, GOOD, b"no photo", GOOD)
    jobs = await batches.jobs(batch.id)
    assert [(job.original_filename, job.batch_index) for job in jobs] == [
        ("0.png", 0),
        ("1.png", 1),
        ("2.png", 2),
    ]
    assert [job.status for job in jobs] == [JobStatus.QUEUED, JobStatus.FAILED, JobStatus.QUEUED]
    assert jobs[1].error_code == "unsupported_format"
    assert engine.queue.ids == [jobs[0].id, jobs[2].id], "only what can be done is queued, after the commit"
    await run(engine, jobs)
    assert [job.outcome for job in await batches.jobs(batch.id)] == ["restored", None, "restored"]
    assert (await batches.repository.get(batch.id)).options == {"scale": 2}


async def test_an_intake_that_breaks_off_leaves_nothing(engine: Engine, batches: BatchService) -> None:
    async def broken_off() -> None:
        async with batches.intake() as intake:
            await intake.receive("a.png", GOOD, len(GOOD))
            assert len(engine.files()) == 1
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await broken_off()
    assert engine.files() == []
    assert await engine.repository.counts() == {}


async def test_files_of_a_process_that_died_before_the_commit_are_swept(
    engine: Engine, batches: BatchService
) -> None:
    async with batches.intake() as intake:  # Nothing is submitted, and nothing raised: as after kill -9.
        await intake.receive("a.png", GOOD, len(GOOD))
    await engine.janitor.sweep()
    assert len(engine.files()) == 1, "it may still be coming"
    engine.clock.time = engine.clock.time.replace(year=2100)
    await engine.janitor.sweep()
    assert engine.files() == []


async def test_a_key_that_is_taken_makes_no_row_at_all(engine: Engine, batches: BatchService) -> None:
    batch = await submitted(batches, GOOD, GOOD, key="k")
    stored = await engine.repository.key("open", "k")
    assert stored is not None
    second = Batch(id=engine.queue.ids[0], contract="enhance", created_at=engine.clock.now())
    with pytest.raises(KeyTaken):
        await batches.repository.add(second, [], type(stored)(**stored.model_dump()))
    with pytest.raises(NotFound):
        await batches.repository.get(second.id)
    assert (await submitted(batches, GOOD, GOOD, key="k")).id == batch.id
    with pytest.raises(IdempotencyMismatch):
        await submitted(batches, GOOD, key="k")
    assert len(engine.files()) == 2


async def test_the_place_in_the_queue_counts_what_waits_before(engine: Engine, batches: BatchService) -> None:
    first = await submitted(batches, GOOD, GOOD)
    engine.clock.forward(seconds=1)
    second = await submitted(batches, GOOD)
    jobs = await batches.jobs(second.id)
    assert await batches.queue_position(jobs) == 3
    await run(engine, await batches.jobs(first.id))
    assert await batches.queue_position(jobs) == 1
    await run(engine, jobs)
    assert await batches.queue_position(await batches.jobs(second.id)) is None


async def test_cancelling_ends_what_waits_and_keeps_what_is_done(
    engine: Engine, batches: BatchService
) -> None:
    batch = await submitted(batches, GOOD, GOOD)
    await run(engine, (await batches.jobs(batch.id))[:1])
    cancelled = await batches.cancel(batch.id)
    assert [job.status for job in cancelled] == [JobStatus.SUCCEEDED, JobStatus.CANCELLED]
    with pytest.raises(Conflict):
        await batches.cancel(batch.id)


async def test_a_retry_puts_new_jobs_in_the_places_of_the_failed(
    engine: Engine, batches: BatchService
) -> None:
    batch = await submitted(batches, GOOD, GOOD, b"no photo")
    first, second, _ = before = await batches.jobs(batch.id)
    await run(engine, [first])
    engine.provider.behaviour = fails
    await run(engine, [second])
    engine.queue.ids.clear()
    after = await batches.retry(batch.id)
    assert [job.id == old.id for job, old in zip(after, before, strict=True)] == [True, False, True]
    again = after[1]
    assert engine.queue.ids == [again.id]
    assert (again.status, again.original_filename, again.input_width) == (JobStatus.QUEUED, "1.png", 64)
    assert await engine.store.get(str(again.input_key)) == GOOD
    old = await engine.repository.get(second.id)
    assert (old.status, old.batch_id) == (JobStatus.FAILED, None), "its record is kept"


async def test_of_two_retries_at_once_one_makes_the_new_jobs(engine: Engine, batches: BatchService) -> None:
    batch = await submitted(batches, GOOD, GOOD)
    await batches.cancel(batch.id)
    found = await asyncio.gather(*(batches.retry(batch.id) for _ in range(3)), return_exceptions=True)
    assert [type(error) for error in found if isinstance(error, BaseException)] in (
        [Conflict] * 2,
        [Conflict],
    )
    jobs = await batches.jobs(batch.id)
    assert [job.status for job in jobs] == [JobStatus.QUEUED] * 2
    assert await engine.repository.counts() == {"cancelled": 2, "queued": 2}
    assert len(engine.files()) == 4, "two originals and their two copies"


async def test_what_has_expired_cannot_be_retried(engine: Engine, batches: BatchService) -> None:
    batch = await submitted(batches, GOOD)
    await batches.cancel(batch.id)
    assert engine.keep_files is not None
    engine.clock.time += engine.keep_files + timedelta(seconds=1)
    await engine.janitor.sweep()
    assert engine.files() == []
    with pytest.raises(Conflict):
        await batches.retry(batch.id)
