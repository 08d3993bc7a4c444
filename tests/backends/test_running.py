"""A job's way to its result, and the ways to its failure."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest

from relume.errors import FetchFailed, ImageUnreadable, ProviderUnavailable
from relume.imaging.photo import Photo
from relume.jobs.models import JobStatus
from relume.pipeline import Pipeline
from relume.ports import RunContext
from relume.tasks import Task
from tests import photos
from tests.backends.conftest import BOTH_STORES
from tests.engine import Engine


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
    assert photos.opened(await engine.result_of(job)).size == (128, 96)
    assert await engine.store.get(str(job.input_key)) == data
    assert engine.files() == [f"results/{job.id}.png", f"uploads/{job.id}.png"]
    assert job.report is not None
    assert job.report[0]["model"] == "Scripted"
    assert job.report[0]["steps"][0]["detail"] == "Halved."


async def test_a_client_that_waits_gives_its_job_a_deadline(engine: Engine) -> None:
    deadlines: list[float | None] = []

    async def look(_task: Task, _photo: Photo, context: RunContext) -> None:
        deadlines.append(context.deadline)

    engine.pipeline = Pipeline(lambda _recipe: engine.provider)
    engine.provider.behaviour = look
    patient, waiting = await engine.submit(), await engine.submit(work_seconds=100.0)
    assert patient.deadline_at is None
    assert waiting.deadline_at == engine.clock.now() + timedelta(seconds=100)
    engine.clock.forward(seconds=60)
    before = time.monotonic()
    for job in (patient, waiting):
        assert (await engine.ended(job)).status is JobStatus.SUCCEEDED
    assert deadlines[0] is None
    assert deadlines[1] is not None
    assert before + 40 <= deadlines[1] <= time.monotonic() + 40


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
