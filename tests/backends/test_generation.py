"""Contract E's part of the engine, over every database: media and metadata through crashes, pages of jobs."""

from __future__ import annotations

import json
from datetime import timedelta
from uuid import uuid4

import pytest

from relume.imaging.decode import decode
from relume.imaging.photo import Photo
from relume.jobs.janitor import Janitor
from relume.jobs.listing import EVERY_JOB, JobFilter
from relume.jobs.metadata import describe
from relume.jobs.models import AttemptRow, Job, JobStatus
from relume.jobs.runner import Runner
from relume.jobs.service import Submission
from relume.picture_models import FLUX_SCHNELL
from relume.pipeline import Pipeline
from relume.ports import Result, RunContext
from relume.providers.chain import Chain
from relume.recipes import GENERATION_MODEL, build
from relume.tasks import Task
from tests import photos
from tests.engine import LEASE, Engine
from tests.providers import ScriptedProvider

ASKED = {"prompt": "a lake", "model": FLUX_SCHNELL, "width": 64, "height": 48, "seed": 7}
KEEP_MEDIA = timedelta(minutes=5)


class Painter(ScriptedProvider):
    async def run(self, task: Task, photo: Photo | None, context: RunContext) -> Result:
        del photo, context
        self.runs.append(task)
        return Result(decode(photos.encoded("PNG")), self.name, "Painter", "1", external_id="run-1")


def runner(engine: Engine, painter: Painter) -> Runner:
    return Runner(
        repository=engine.repository,
        store=engine.store,
        events=engine.events,
        pipeline=Pipeline(lambda _recipe: Chain([painter], {})),
        fetcher=engine.fetcher,
        clock=engine.clock,
        limits=engine.limits,
        lease=LEASE,
        keep_files=engine.keep_files,
        keep_media=KEEP_MEDIA,
    )


async def submitted(engine: Engine) -> Job:
    recipe = build(GENERATION_MODEL, strength=1.0, parameters=ASKED)
    return await engine.service.submit(
        Submission(contract="generate", recipe=recipe, lane="hosted", parameters=ASKED)
    )


async def test_a_picture_and_its_metadata_lie_in_their_own_folders(engine: Engine) -> None:
    job = await submitted(engine)
    await runner(engine, Painter()).run(job.id)
    ended = await engine.repository.get(job.id)
    assert ended.status is JobStatus.SUCCEEDED
    assert ended.finished_at is not None
    assert ended.files_expire_at == ended.finished_at + KEEP_MEDIA
    assert engine.files() == [f"media/{job.id}.png", f"metadata/{job.id}.json"]
    told = json.loads(await engine.store.get(f"metadata/{job.id}.json"))
    assert (told["seed"], told["provider"], told["external_job_id"]) == (7, "scripted", "run-1")
    assert told == describe(ended, await engine.repository.attempts(job.id))


@pytest.mark.parametrize("broken", ["move", "put"])
async def test_a_worker_that_dies_after_the_end_leaves_no_gap(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    """It dies before the picture is moved, or before the metadata are written."""
    job, painter = await submitted(engine), Painter()
    real = getattr(engine.store, broken)

    async def dies(key: str, *rest: object) -> None:
        if broken == "put" and not key.startswith("metadata/"):
            await real(key, *rest)
            return
        raise OSError("the process is gone")

    monkeypatch.setattr(engine.store, broken, dies)
    await runner(engine, painter).run(job.id)
    ended = await engine.repository.get(job.id)
    assert (ended.status, ended.staged_key is None) == (JobStatus.SUCCEEDED, False)
    monkeypatch.undo()
    _, size_bytes, _ = await engine.service.open_result(job.id)
    assert size_bytes == ended.result_bytes

    await runner(engine, painter).run(job.id)
    await engine.janitor.sweep()
    assert len(painter.runs) == 1
    assert engine.files() == [f"media/{job.id}.png", f"metadata/{job.id}.json"]
    assert (await engine.repository.get(job.id)).staged_key is None
    written = await engine.store.get(f"metadata/{job.id}.json")
    await engine.janitor.sweep()
    assert await engine.store.get(f"metadata/{job.id}.json") == written


async def test_each_store_is_cleaned_by_its_own_time(engine: Engine) -> None:
    job = await submitted(engine)
    await runner(engine, Painter()).run(job.id)
    stray = f"media/staging/{job.id}.{uuid4()}.png"
    await engine.store.put(stray, b"of a run that lost its lease")

    engine.clock.time = engine.clock.time.replace(year=2100)
    await engine.janitor.sweep()
    assert engine.files() == [f"metadata/{job.id}.json"], "metadata are kept, and taken for no stray"
    janitor = Janitor(
        engine.repository, engine.store, engine.clock, timedelta(1), keep_metadata=timedelta(days=30)
    )
    await janitor.sweep()
    assert engine.files() == []


async def test_jobs_are_paged_newest_first(engine: Engine) -> None:
    ids = []
    for _ in range(5):
        ids.append((await submitted(engine)).id)
        engine.clock.forward(seconds=1)
    await runner(engine, Painter()).run(ids[1])
    total, jobs = await engine.repository.page(EVERY_JOB, limit=2, offset=1)
    assert (total, [job.id for job in jobs]) == (5, [ids[3], ids[2]])
    total, jobs = await engine.repository.page(JobFilter(status=JobStatus.SUCCEEDED), limit=9, offset=0)
    assert (total, [job.id for job in jobs]) == (1, [ids[1]])
    assert (await engine.repository.page(EVERY_JOB, limit=9, offset=5))[1] == []


async def test_attempts_are_counted_for_many_jobs_at_once(engine: Engine) -> None:
    first, second, third = [(await submitted(engine)).id for _ in range(3)]
    for job_id in (first, first, second):
        await engine.repository.leases.record_attempt(
            AttemptRow(
                job_id=job_id,
                run=1,
                task="text_to_image",
                provider="x",
                started_at=engine.clock.now(),
                seconds=0.1,
            )
        )
    assert await engine.repository.attempt_counts([first, second, third]) == {first: 2, second: 1}
    assert await engine.repository.attempt_counts([]) == {}
