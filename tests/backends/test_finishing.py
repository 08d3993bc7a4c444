"""However a worker dies while it finishes, the result is there once and whole."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from relume.jobs.models import JobStatus
from tests import photos
from tests.backends.conftest import BOTH_STORES
from tests.engine import LEASE, Engine


@BOTH_STORES
async def test_death_before_the_commit_leaves_a_stray_that_is_swept(engine: Engine) -> None:
    job = await engine.submit()
    dead = await engine.repository.leases.claim(job.id, engine.clock.now(), LEASE)
    assert dead is not None
    await engine.store.put(f"results/staging/{job.id}.1.png", b"half a life")
    engine.clock.forward(seconds=31)
    ended = await engine.ended(job)
    assert photos.opened(await engine.result_of(ended)).size == (128, 96)
    assert f"results/staging/{job.id}.1.png" in engine.files()
    engine.clock.time = ended.created_at + timedelta(days=3650)
    await engine.janitor.sweep()
    assert not [name for name in engine.files() if "staging" in name]


@BOTH_STORES
async def test_death_after_the_commit_still_serves_the_result(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await engine.submit()

    await engine.killed_before_the_move(job, monkeypatch)
    ended = await engine.repository.get(job.id)
    assert ended.status is JobStatus.SUCCEEDED
    before = await engine.result_of(ended)
    await engine.janitor.sweep()
    assert f"results/{job.id}.png" in engine.files()
    assert await engine.result_of(ended) == before
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
