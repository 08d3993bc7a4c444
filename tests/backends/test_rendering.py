"""Another strength after the fact: no provider works, and whoever dies meanwhile, the files are whole or gone."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from relume.database import Database
from relume.errors import Conflict, Expired, NotFound
from relume.jobs.models import Job, JobStatus
from relume.jobs.rendering import origin_of
from tests import photos
from tests.backends.conftest import BOTH_STORES
from tests.buckets import Bucket
from tests.engine import LEASE, Engine, build_engine


@pytest.fixture
def engine(request: pytest.FixtureRequest, database: Database, tmp_path: Path) -> Engine:
    """As in the other suites, but it keeps the unmixed restorations."""
    own: Bucket | None = None
    if getattr(request, "param", "folder") == "bucket":
        own = request.getfixturevalue("bucket")
    return build_engine(database, tmp_path / "files", bucket=own, keep_unmixed=True)


async def rendered(engine: Engine, job: Job, strength: float) -> Job:
    origin = await origin_of(job.id, engine.repository)
    new = await engine.submit(render_of=origin, strength=strength, scale=origin.scale)
    return await engine.ended(new)


def unmixed_files(engine: Engine) -> list[str]:
    return [name for name in engine.files() if "unmixed" in name]


@BOTH_STORES
async def test_a_rendering_is_what_the_first_run_would_have_given(engine: Engine) -> None:
    data = photos.encoded("JPEG")
    job = await engine.ended(await engine.submit(data))
    assert unmixed_files(engine) == [f"results/{job.id}.unmixed.png"]
    again = await rendered(engine, job, 0.3)
    assert len(engine.provider.runs) == 1
    direct = await engine.ended(await engine.submit(data, strength=0.3))
    assert await engine.result_of(again) == await engine.result_of(direct)
    assert (again.status, again.strength, again.fidelity) == ("succeeded", 0.3, direct.fidelity)
    assert (again.outcome, again.cost_usd, again.render_of) == ("restored", 0.0, job.id)
    assert [part["provider"] for part in again.report or []] == ["scripted"]
    assert await engine.repository.attempts(again.id) == []
    assert await engine.store.get(str(again.input_key)) == data
    assert again.input_key != job.input_key


async def test_a_rendering_of_a_rendering_comes_from_the_first_restoration(engine: Engine) -> None:
    job = await engine.ended(await engine.submit())
    weak = await rendered(engine, job, 0.1)
    full = await rendered(engine, weak, 1.0)
    assert (full.render_of, full.unmixed_key) == (job.id, None)
    direct = await engine.ended(await engine.submit(strength=1.0))
    assert await engine.result_of(full) == await engine.result_of(direct)
    assert unmixed_files(engine) == [f"results/{job.id}.unmixed.png"], "there is one owner"


async def test_a_result_of_full_strength_is_its_own_unmixed_restoration(engine: Engine) -> None:
    job = await engine.ended(await engine.submit(strength=1.0))
    assert job.unmixed_key is None
    assert unmixed_files(engine) == []
    direct = await engine.ended(await engine.submit(strength=0.4))
    assert await engine.result_of(await rendered(engine, job, 0.4)) == await engine.result_of(direct)


@BOTH_STORES
async def test_all_files_of_a_job_go_together(engine: Engine) -> None:
    job = await engine.ended(await engine.submit())
    engine.clock.forward(minutes=30)
    later = await rendered(engine, job, 0.3)
    waiting = await engine.submit(render_of=job, strength=0.5)
    engine.clock.forward(minutes=45)
    await engine.janitor.sweep()
    assert unmixed_files(engine) == []
    assert (await engine.repository.get(job.id)).unmixed_key is None
    assert await engine.result_of(later), "its result is its own"
    with pytest.raises(Expired):
        await origin_of(job.id, engine.repository)
    with pytest.raises(Expired):
        await origin_of(later.id, engine.repository)
    ended = await engine.ended(waiting)
    assert (ended.status, ended.error_code) == (JobStatus.FAILED, "expired")


@BOTH_STORES
async def test_death_after_the_commit_leaves_what_can_be_rendered(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await engine.submit()

    await engine.killed_before_the_move(job, monkeypatch)
    assert "staging" in unmixed_files(engine)[0]
    before = await rendered(engine, job, 0.3)
    await engine.janitor.sweep()
    assert unmixed_files(engine) == [f"results/{job.id}.unmixed.png"]
    after = await rendered(engine, job, 0.3)
    assert (before.status, after.status) == ("succeeded", "succeeded")
    assert await engine.result_of(before) == await engine.result_of(after)


@BOTH_STORES
async def test_death_between_the_two_moves_is_mended(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    job = await engine.submit()
    move = engine.store.move

    async def dies_at_the_result(source: str, target: str) -> None:
        if "unmixed" not in source:
            raise asyncio.CancelledError
        await move(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(engine.store, "move", dies_at_the_result)
        with pytest.raises(asyncio.CancelledError):
            await engine.runner().run(job.id)
    await engine.janitor.sweep()
    left = [name for name in engine.files() if name.startswith("results/")]
    assert left == [f"results/{job.id}.png", f"results/{job.id}.unmixed.png"]
    assert (await rendered(engine, job, 0.3)).status == "succeeded"


async def test_death_before_the_commit_leaves_strays_that_are_swept(engine: Engine) -> None:
    job = await engine.submit()
    dead = await engine.repository.leases.claim(job.id, engine.clock.now(), LEASE)
    assert dead is not None
    await engine.store.put(f"results/staging/{job.id}.{dead.lease_token}.unmixed.png", b"half a life")
    engine.clock.forward(seconds=31)
    ended = await engine.ended(job)
    engine.clock.time = ended.created_at.replace(year=2046)
    await engine.janitor.sweep()
    assert unmixed_files(engine) == []


async def test_a_kept_restoration_is_no_stray(engine: Engine) -> None:
    job = await engine.ended(await engine.submit())
    assert job.finished_at is not None
    engine.clock.time = job.finished_at.replace(year=2046)
    await engine.repository.files.mark_promoted(job.id)
    assert await engine.janitor._remove_strays() == 0
    assert unmixed_files(engine) == [f"results/{job.id}.unmixed.png"]


async def test_a_result_from_the_cache_has_a_restoration_of_its_own(engine: Engine) -> None:
    runner = engine.runner(served_by="model 1")
    first, second = await engine.submit(), await engine.submit()
    await runner.run(first.id)
    await runner.run(second.id)
    assert len(unmixed_files(engine)) == 2
    await engine.store.delete([f"results/{first.id}.unmixed.png"])
    again = await rendered(engine, second, 0.3)
    assert (again.status, len(engine.provider.runs)) == ("succeeded", 1)


async def test_what_cannot_be_rendered_says_why(engine: Engine) -> None:
    waiting = await engine.submit()
    with pytest.raises(Conflict, match="not finished"):
        await origin_of(waiting.id, engine.repository)
    await engine.service.cancel(waiting.id)
    with pytest.raises(Conflict, match="no result"):
        await origin_of(waiting.id, engine.repository)
    with pytest.raises(NotFound):
        await origin_of(waiting.id.__class__(int=0), engine.repository)


async def test_a_rendering_is_remembered_by_its_idempotency_key(engine: Engine) -> None:
    job = await engine.ended(await engine.submit())
    first = await engine.submit(render_of=job, strength=0.3, key="one")
    again = await engine.submit(render_of=job, strength=0.3, key="one")
    assert first.id == again.id
    assert len([name for name in engine.files() if name.startswith("uploads/")]) == 2
