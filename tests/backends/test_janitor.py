"""What the janitor deletes, and what it keeps."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest

from relume.errors import Expired, NotFound
from relume.jobs.janitor import Janitor
from relume.jobs.models import Job, JobStatus
from tests.backends.conftest import BOTH_STORES
from tests.engine import Engine


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


async def test_a_chore_that_fails_keeps_no_other_from_being_done(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await engine.ended(await engine.submit())
    engine.clock.forward(hours=2)

    async def broken(_limit: int = 1) -> list[Job]:
        raise OSError("the database is away")

    monkeypatch.setattr(engine.repository.files, "staged", broken)
    await engine.janitor.sweep()
    assert (await engine.repository.get(job.id)).files_deleted_at is not None


async def test_records_are_kept_for_ever_unless_a_time_is_set(engine: Engine) -> None:
    old = await engine.ended(await engine.submit(key="k"))
    engine.clock.forward(days=31)
    await engine.janitor.sweep()
    assert await engine.repository.get(old.id)

    waiting, new = await engine.submit(), await engine.ended(await engine.submit())
    janitor = Janitor(
        engine.repository, engine.store, engine.clock, timedelta(minutes=30), keep_jobs=timedelta(days=30)
    )
    await janitor.sweep()
    with pytest.raises(NotFound):
        await engine.repository.get(old.id)
    assert await engine.repository.attempts(old.id) == []
    assert [job.id for job in await engine.repository.get_many([waiting.id, new.id])]
    engine.clock.forward(days=31)
    await janitor.sweep()
    assert [job.id for job in await engine.repository.get_many([waiting.id, new.id])] == [waiting.id]
    assert await engine.store.size(f"uploads/{waiting.id}.png")
