"""A job from its acceptance to its end, and every way a worker can die on the way."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest

from relume.errors import (
    Conflict,
    Expired,
    FetchFailed,
    IdempotencyMismatch,
    ImageUnreadable,
    LeaseLost,
    NotFound,
    ProviderUnavailable,
)
from relume.imaging.photo import Photo
from relume.jobs.external_ids import JobExternalIds
from relume.jobs.models import AttemptRow, Job, JobStatus
from relume.jobs.runner import MAX_RUNS
from relume.ports import RunContext
from relume.tasks import Task
from tests import photos
from tests.backends.conftest import BOTH_STORES
from tests.engine import LEASE, Engine
from tests.providers import Held


async def result_of(engine: Engine, job: Job) -> bytes:
    _, size_bytes, chunks = await engine.service.open_result(job.id)
    data = b"".join([chunk async for chunk in chunks])
    assert len(data) == size_bytes
    return data


# The good way


@BOTH_STORES
async def test_an_accepted_job_is_stored_before_the_queue_hears_of_it(engine: Engine) -> None:
    data = photos.encoded("PNG")
    job = await engine.submit(data)
    assert engine.queue.ids == [job.id]
    stored = await engine.repository.get(job.id)
    assert (stored.status, stored.progress, stored.input_width, stored.input_height) == ("queued", 0, 64, 48)
    assert await engine.store.get(str(stored.input_key)) == data


@BOTH_STORES
async def test_a_job_runs_to_its_result(engine: Engine) -> None:
    data = photos.encoded("PNG")
    job = await engine.ended(await engine.submit(data))
    assert (job.status, job.progress, job.outcome, job.step) == (JobStatus.SUCCEEDED, 1.0, "restored", None)
    assert (job.result_width, job.result_height) == (128, 96)
    assert photos.opened(await result_of(engine, job)).size == (128, 96)
    assert await engine.store.get(str(job.input_key)) == data
    assert engine.files() == [f"results/{job.id}.png", f"uploads/{job.id}.png"]
    assert job.report is not None
    assert job.report[0]["model"] == "Scripted"
    assert job.report[0]["steps"][0]["detail"] == "Halved."


async def test_every_attempt_is_kept(engine: Engine) -> None:
    job = await engine.ended(await engine.submit())
    (attempt,) = await engine.repository.attempts(job.id)
    assert (attempt.provider, attempt.task, attempt.run, attempt.error_class) == (
        "scripted",
        "restore_faces",
        1,
        None,
    )


@BOTH_STORES
async def test_a_job_by_url_keeps_the_original_it_fetched(engine: Engine) -> None:
    engine.fetcher.pages["https://example.org/a.jpg"] = photos.encoded("JPEG")
    job = await engine.ended(await engine.submit(url="https://example.org/a.jpg"))
    assert job.status is JobStatus.SUCCEEDED
    assert await engine.store.get(str(job.input_key)) == photos.encoded("JPEG")
    assert job.result_format == "jpeg"


# Failures


@BOTH_STORES
async def test_an_unreadable_photo_is_refused_and_leaves_nothing(engine: Engine) -> None:
    with pytest.raises(ImageUnreadable):
        await engine.submit(photos.encoded("PNG")[:-200])
    assert engine.files() == []
    assert await engine.repository.counts() == {}


async def test_a_provider_error_fails_the_job_with_its_sentence(engine: Engine) -> None:
    async def fails(_task: Task, _photo: Photo, _context: RunContext) -> None:
        raise ProviderUnavailable("The service is away.")

    engine.provider.behaviour = fails
    job = await engine.ended(await engine.submit())
    assert (job.status, job.error_code) == (JobStatus.FAILED, "all_providers_failed")
    assert job.error_detail == "All services failed: scripted: the service is away."
    (attempt,) = await engine.repository.attempts(job.id)
    assert attempt.error_class == "ProviderUnavailable"


async def test_a_fault_of_ours_is_masked(engine: Engine) -> None:
    async def faulty(_task: Task, _photo: Photo, _context: RunContext) -> None:
        raise ZeroDivisionError("/secret/path")

    engine.provider.behaviour = faulty
    job = await engine.ended(await engine.submit())
    assert job.status is JobStatus.FAILED
    assert "secret" not in str(job.error_detail)


async def test_a_url_that_leads_to_no_image_fails_the_job(engine: Engine) -> None:
    engine.fetcher.pages["https://example.org/a"] = FetchFailed("Nothing there.")
    job = await engine.ended(await engine.submit(url="https://example.org/a"))
    assert (job.status, job.error_detail) == (JobStatus.FAILED, "Nothing there.")
    engine.fetcher.pages["https://example.org/b"] = b"<!doctype html><p>no</p>"
    job = await engine.ended(await engine.submit(url="https://example.org/b"))
    assert (job.status, job.error_code) == (JobStatus.FAILED, "unsupported_format")


@BOTH_STORES
async def test_a_full_disk_puts_the_job_back_for_later(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await engine.submit()

    async def no_room(_key: str, _data: bytes) -> None:
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(engine.store, "put", no_room)
        assert (await engine.ended(job)).status is JobStatus.QUEUED
    assert (await engine.ended(job)).status is JobStatus.QUEUED, "it must rest first"
    engine.clock.forward(seconds=10)
    assert (await engine.ended(job)).status is JobStatus.SUCCEEDED


# Leases


async def test_a_job_is_claimed_once(engine: Engine) -> None:
    job = await engine.submit()
    now = engine.clock.now()
    claims = await asyncio.gather(*(engine.repository.claim(job.id, now, LEASE) for _ in range(8)))
    assert sum(claim is not None for claim in claims) == 1


@BOTH_STORES
async def test_an_abandoned_job_is_run_again_and_ends_once(engine: Engine) -> None:
    job = await engine.submit()
    dead = await engine.repository.claim(job.id, engine.clock.now(), LEASE)
    assert dead is not None
    assert await engine.repository.due(engine.clock.now()) == []
    engine.clock.forward(seconds=31)
    assert await engine.repository.due(engine.clock.now()) == [(job.id, "local")]
    ended = await engine.ended(job)
    assert (ended.status, ended.runs) == (JobStatus.SUCCEEDED, 2)
    with pytest.raises(LeaseLost):
        await engine.repository.finish(dead, None, status=JobStatus.FAILED)
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
    winner = await engine.repository.claim(job.id, engine.clock.now(), LEASE)
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


@BOTH_STORES
async def test_death_before_the_commit_leaves_a_stray_that_is_swept(engine: Engine) -> None:
    job = await engine.submit()
    dead = await engine.repository.claim(job.id, engine.clock.now(), LEASE)
    assert dead is not None
    await engine.store.put(f"results/staging/{job.id}.1.png", b"half a life")
    engine.clock.forward(seconds=31)
    ended = await engine.ended(job)
    assert photos.opened(await result_of(engine, ended)).size == (128, 96)
    assert f"results/staging/{job.id}.1.png" in engine.files()
    engine.clock.time = ended.created_at + timedelta(days=3650)
    await engine.janitor.sweep()
    assert not [name for name in engine.files() if "staging" in name]


@BOTH_STORES
async def test_death_after_the_commit_still_serves_the_result(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await engine.submit()

    async def dies(_source: str, _target: str) -> None:
        raise asyncio.CancelledError

    with monkeypatch.context() as patch:
        patch.setattr(engine.store, "move", dies)
        with pytest.raises(asyncio.CancelledError):
            await engine.runner().run(job.id)
    ended = await engine.repository.get(job.id)
    assert ended.status is JobStatus.SUCCEEDED
    before = await result_of(engine, ended)
    await engine.janitor.sweep()
    assert f"results/{job.id}.png" in engine.files()
    assert await result_of(engine, ended) == before
    assert (await engine.repository.get(job.id)).staged_key is None


@BOTH_STORES
async def test_death_in_the_middle_of_the_move_is_mended(engine: Engine) -> None:
    """Where the file system links and then unlinks, both names can stay behind."""
    job = await engine.submit()
    held_up = asyncio.CancelledError()

    async def linked_only(source: str, target: str) -> None:
        await engine.store.put(target, await engine.store.get(source))
        raise held_up

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine.store, "move", linked_only)
        with pytest.raises(asyncio.CancelledError):
            await engine.runner().run(job.id)
    assert len([name for name in engine.files() if name.startswith("results/")]) == 2
    await engine.janitor.sweep()
    assert [name for name in engine.files() if name.startswith("results/")] == [f"results/{job.id}.png"]
    assert (await engine.repository.get(job.id)).staged_key is None


async def test_a_chore_that_fails_keeps_no_other_from_being_done(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await engine.ended(await engine.submit())
    engine.clock.forward(hours=2)

    async def broken(_limit: int = 1) -> list[Job]:
        raise OSError("the database is away")

    monkeypatch.setattr(engine.repository, "staged", broken)
    await engine.janitor.sweep()
    assert (await engine.repository.get(job.id)).files_deleted_at is not None


@BOTH_STORES
async def test_a_stop_while_the_result_is_stored_loses_nothing(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await engine.submit()
    put = engine.store.put

    async def stopped(key: str, data: bytes) -> None:
        await put(key, data)
        raise asyncio.CancelledError

    with monkeypatch.context() as patch:
        patch.setattr(engine.store, "put", stopped)
        with pytest.raises(asyncio.CancelledError):
            await engine.runner().run(job.id)
    ended = await engine.ended(job)
    assert (ended.status, ended.error_detail) == (JobStatus.SUCCEEDED, None)


async def test_a_job_that_kills_its_workers_is_given_up(engine: Engine) -> None:
    job = await engine.submit()
    for _ in range(MAX_RUNS):
        assert await engine.repository.claim(job.id, engine.clock.now(), LEASE)
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


# Progress and watching


async def test_progress_never_goes_back(engine: Engine) -> None:
    job = await engine.submit()
    claimed = await engine.repository.claim(job.id, engine.clock.now(), LEASE)
    assert claimed is not None
    await engine.repository.progress(claimed, 0.7, "denoise")
    await engine.repository.progress(claimed, 0.2, "decode")
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


# Cancelling


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
    await asyncio.wait_for(running, 5)
    assert (await engine.repository.get(job.id)).status is JobStatus.CANCELLED
    assert engine.files() == [f"uploads/{job.id}.png"]


async def test_a_cancel_reaches_a_worker_in_another_process(engine: Engine) -> None:
    held = Held()
    engine.provider.behaviour = held
    job = await engine.submit()
    running = asyncio.create_task(engine.runner(lease=timedelta(seconds=0.3)).run(job.id))
    await held.started.wait()
    assert await engine.repository.request_cancel(job.id)
    await asyncio.wait_for(running, 5)
    assert (await engine.repository.get(job.id)).status is JobStatus.CANCELLED


async def test_an_ended_job_cannot_be_cancelled(engine: Engine) -> None:
    job = await engine.ended(await engine.submit())
    with pytest.raises(Conflict):
        await engine.service.cancel(job.id)


# Idempotency


async def test_the_same_key_gives_the_same_job(engine: Engine) -> None:
    first = await engine.submit(key="k")
    again = await engine.submit(key="k")
    assert again.id == first.id
    assert engine.queue.ids == [first.id]
    with pytest.raises(IdempotencyMismatch):
        await engine.submit(photos.encoded("PNG", 32, 32), key="k")
    with pytest.raises(IdempotencyMismatch):
        await engine.submit(key="k", scale=4)
    assert (await engine.submit(key="other")).id != first.id


@BOTH_STORES
async def test_the_same_key_at_the_same_moment_makes_one_job(engine: Engine) -> None:
    jobs = await asyncio.gather(*(engine.submit(key="k") for _ in range(10)))
    assert len({job.id for job in jobs}) == 1
    assert await engine.repository.counts() == {"queued": 1}
    assert engine.files() == [f"uploads/{jobs[0].id}.png"]


async def test_keys_are_forgotten_after_a_day(engine: Engine) -> None:
    first = await engine.submit(key="k")
    engine.clock.forward(hours=25)
    await engine.janitor.sweep()
    assert (await engine.submit(key="k")).id != first.id


# The janitor


@BOTH_STORES
async def test_files_are_deleted_after_their_time_and_the_record_stays(engine: Engine) -> None:
    job = await engine.ended(await engine.submit())
    waiting = await engine.submit()
    await engine.janitor.sweep()
    assert len(engine.files()) == 3
    engine.clock.forward(minutes=61)
    await engine.janitor.sweep()
    assert engine.files() == [f"uploads/{waiting.id}.png"]
    assert (await engine.repository.get(job.id)).status is JobStatus.SUCCEEDED
    with pytest.raises(Expired):
        await engine.service.open_result(job.id)


@BOTH_STORES
async def test_an_upload_without_a_row_is_swept_when_it_is_old(engine: Engine) -> None:
    await engine.store.put(f"uploads/{uuid4()}.png", b"the request died")
    await engine.store.put("uploads/holiday.png", b"not ours: no id in its name")
    await engine.janitor.sweep()
    assert len(engine.files()) == 2
    engine.clock.forward(days=3650)
    await engine.janitor.sweep()
    assert engine.files() == ["uploads/holiday.png"]


# The cache


@BOTH_STORES
async def test_the_same_photo_and_wishes_are_answered_from_the_kept_result(engine: Engine) -> None:
    runner = engine.runner(served_by="model 1")
    first, second = await engine.submit(), await engine.submit()
    await runner.run(first.id)
    await runner.run(second.id)
    assert len(engine.provider.runs) == 1
    jobs = [await engine.repository.get(job.id) for job in (first, second)]
    assert [job.status for job in jobs] == ["succeeded", "succeeded"]
    assert await result_of(engine, jobs[0]) == await result_of(engine, jobs[1])
    assert jobs[0].result_key != jobs[1].result_key
    assert await engine.repository.attempts(second.id) == []
    assert jobs[1].report is not None
    assert jobs[1].report[0]["provider"] == "scripted"


async def test_anything_else_is_done_anew(engine: Engine) -> None:
    for data, scale, served_by in (
        (photos.encoded("PNG"), 2, "model 1"),
        (photos.encoded("PNG", 40, 30), 2, "model 1"),
        (photos.encoded("PNG"), 4, "model 1"),
        (photos.encoded("PNG"), 2, "model 2"),
    ):
        engine.provider.runs.clear()
        job = await engine.submit(data, scale=scale)
        await engine.runner(served_by=served_by).run(job.id)
        assert engine.provider.runs
    engine.clock.forward(hours=2)
    await engine.janitor.sweep()
    engine.provider.runs.clear()
    job = await engine.submit()
    await engine.runner(served_by="model 1").run(job.id)
    assert engine.provider.runs, "expired results are no answer"


# Runs at hosted providers


async def test_a_hosted_run_is_remembered_until_the_job_has_ended(engine: Engine) -> None:
    job = await engine.submit()
    dead = await engine.repository.claim(job.id, engine.clock.now(), LEASE)
    assert dead is not None
    await JobExternalIds(dead, engine.repository, engine.clock).remember(0, "replicate", "p1")
    await JobExternalIds(dead, engine.repository, engine.clock).remember(0, "replicate", "p2")
    recalled: list[str | None] = []

    async def recalls(_task: Task, _photo: Photo, context: RunContext) -> None:
        recalled.append(await context.external_ids.recall(context.step, "replicate"))
        recalled.append(await context.external_ids.recall(context.step, "cog"))

    engine.provider.behaviour = recalls
    engine.clock.forward(seconds=31)
    assert (await engine.ended(job)).status is JobStatus.SUCCEEDED
    assert recalled == ["p2", None]
    assert await JobExternalIds(dead, engine.repository, engine.clock).recall(0, "replicate") is None


async def test_what_was_paid_for_one_hosted_run_is_counted_once(engine: Engine) -> None:
    job = await engine.submit()
    claimed = await engine.repository.claim(job.id, engine.clock.now(), LEASE)
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
        await engine.repository.record_attempt(attempt)
    await engine.repository.finish(claimed, None, status=JobStatus.SUCCEEDED)
    assert (await engine.repository.get(job.id)).cost_usd == pytest.approx(0.004)


# The embedded queue


async def test_thirty_jobs_left_by_a_dead_process_end_once_each(engine: Engine) -> None:
    jobs = [await engine.submit(scale=1) for _ in range(30)]
    for job in jobs[:5]:
        assert await engine.repository.claim(job.id, engine.clock.now(), LEASE)
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
