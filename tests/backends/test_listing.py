"""The list of jobs narrowed and searched, places in the queue, and files deleted before their time."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text

from relume.database import Database
from relume.errors import Conflict, Expired, NotFound
from relume.jobs.filenames import folded
from relume.jobs.listing import JobFilter
from relume.jobs.models import Batch, Job, JobStatus
from relume.jobs.originals import delete_files, original_key
from relume.jobs.repository.batches import BatchRepository
from relume.recipes import GENERATION_MODEL, PICTURE_MODEL, TEXT_MODEL
from tests import photos
from tests.backends.conftest import BOTH_STORES
from tests.engine import Engine


async def added(engine: Engine, **values: Any) -> UUID:
    """A job straight into the table, a second after the one before."""
    engine.clock.forward(seconds=1)
    now = engine.clock.now()
    shown = values.get("original_filename") or (values.get("parameters") or {}).get("prompt")
    told: dict[str, Any] = {
        "id": uuid4(),
        "contract": "v1",
        "model_id": "restoration/gfpgans-1.4",
        "strength": 0.6,
        "scale": 1,
        "lane": "local",
        "created_at": now,
        "available_at": now,
        "search_text": folded(shown) if shown else None,
    }
    job = Job(**told | values)
    await engine.repository.add(job)
    return job.id


async def shown(engine: Engine, **chosen: Any) -> list[UUID]:
    total, jobs = await engine.repository.page(JobFilter(**chosen), limit=50, offset=0)
    assert total == len(jobs)
    return [job.id for job in jobs]


async def test_a_list_is_narrowed_by_what_the_jobs_make(engine: Engine) -> None:
    photo = await added(engine)
    drawn = await added(engine, model_id=GENERATION_MODEL)
    pictured = await added(engine, model_id=PICTURE_MODEL, client="a")
    written = await added(engine, model_id=TEXT_MODEL, status=JobStatus.SUCCEEDED)
    assert await shown(engine, kind="photo") == [photo]
    assert await shown(engine, kind="picture") == [pictured, drawn]
    assert await shown(engine, kind="text") == [written]
    assert await shown(engine, kind="picture", client="a") == [pictured]
    assert await shown(engine, kind="text", status=JobStatus.FAILED) == []


SEARCHES = (
    ("WEDDING", "wedding"),
    ("ảnh GIA đình", "family"),
    ("a\u0309nh gia", "family"),
    ("100%", "percent"),
    ("_", "percent"),
    ("/", "percent"),
    ("\\", None),
    ("%", "percent"),
    ("lighthouse", "prompt"),
    ("dusk", None),
    ("STRASSE", "street"),
)


async def test_a_list_is_searched_by_names_else_by_prompts(engine: Engine) -> None:
    """Without regard to case in any alphabet, on every database; no sign is a wildcard."""
    ids = {
        "wedding": await added(engine, original_filename="Wedding 1952.JPG"),
        "family": await added(engine, original_filename="Ảnh Gia Đình.png"),
        "percent": await added(engine, original_filename="100%_a/b.png"),
        "street": await added(engine, original_filename="Straße.png"),
        "prompt": await added(engine, parameters={"prompt": "A Lighthouse"}),
        "both": await added(engine, original_filename="x.png", parameters={"prompt": "at dusk"}),
    }
    for search, found in SEARCHES:
        assert await shown(engine, search=search) == ([ids[found]] if found else []), search


async def test_a_submitted_photo_keeps_its_clients_name(engine: Engine) -> None:
    job = await engine.submit(filename="C:\\Photos\\Tante\u202e Ida.JPG")
    assert (job.original_filename, job.search_text) == ("Tante Ida.JPG", "tante ida.jpg")
    assert "Ida" not in "".join(engine.files())
    assert (await engine.submit(filename=" . ")).original_filename is None


async def test_names_are_forgotten_with_the_files(engine: Engine) -> None:
    job = await engine.ended(await engine.submit(filename="ida.png"))
    assert await shown(engine, search="ida") == [job.id]
    engine.clock.forward(hours=2)
    await engine.janitor.sweep()
    assert (await engine.repository.get(job.id)).original_filename is None
    assert await shown(engine, search="ida") == []


async def test_the_migration_makes_earlier_jobs_searchable(engine: Engine, database: Database) -> None:
    named = await added(engine, original_filename="Ảnh.png", parameters={"style": "comic"})
    prompted = await added(engine, parameters={"prompt": "A LAKE"})
    await added(engine, parameters={"style": "comic"})

    def again(connection: Connection) -> None:
        config = Config()
        config.set_main_option("script_location", "relume:migrations")
        config.set_main_option("path_separator", "os")
        config.attributes["connection"] = connection
        command.downgrade(config, "0006")
        command.upgrade(config, "head")

    async with database.engine.begin() as connection:
        await connection.run_sync(again)
        rows = (await connection.execute(text("select search_text from jobs order by created_at"))).all()
    assert [row[0] for row in rows] == ["ảnh.png", "a lake", None]
    assert await shown(engine, search="LAKE") == [prompted]
    assert await shown(engine, search="ảNH") == [named]


async def test_each_waiting_job_knows_its_place(engine: Engine, database: Database) -> None:
    batches = BatchRepository(database)
    first = await added(engine)
    await added(engine, lane="hosted")
    await added(engine, status=JobStatus.RUNNING)
    now = engine.clock.now()
    batch = Batch(id=uuid4(), contract="enhance", created_at=now)
    await batches.add(batch, [])
    same: dict[str, Any] = {"batch_id": batch.id, "created_at": now + timedelta(seconds=1)}
    inside = [await added(engine, batch_index=index, **same) for index in range(3)]
    last = await added(engine)

    async def places() -> list[int]:
        jobs = [await engine.repository.get(job_id) for job_id in (first, *inside, last)]
        return [1 + await batches.waiting_before(job) for job in jobs]

    assert await places() == [1, 2, 3, 4, 5]
    assert await engine.repository.leases.claim(inside[0], engine.clock.now(), timedelta(seconds=30))
    assert (await places())[2:] == [2, 3, 4]


# Deleting files before their time


async def deleted(engine: Engine, job_id: UUID) -> Job:
    return await delete_files(job_id, engine.repository, engine.store, engine.clock.now())


@BOTH_STORES
async def test_deleting_leaves_the_record_alone(engine: Engine) -> None:
    job = await engine.ended(await engine.submit(filename="ida.png"))
    other = await engine.ended(await engine.submit())
    assert len(engine.files()) == 4
    gone = await deleted(engine, job.id)
    assert [file for file in engine.files() if str(job.id) in file] == []
    assert (gone.status, gone.files_deleted_at) == (JobStatus.SUCCEEDED, engine.clock.now())
    assert (gone.original_filename, gone.search_text, gone.input_key) == (None, None, None)
    assert gone.report == job.report
    with pytest.raises(Expired):
        await engine.service.open_result(job.id)
    with pytest.raises(Expired):
        original_key(gone)
    assert await engine.result_of(other)

    engine.clock.forward(seconds=5)
    again = await deleted(engine, job.id)
    assert again.files_deleted_at == gone.files_deleted_at
    with pytest.raises(NotFound):
        await deleted(engine, uuid4())


async def test_a_job_that_has_not_ended_keeps_its_files(engine: Engine) -> None:
    job = await engine.submit(filename="ida.png")
    with pytest.raises(Conflict, match="Cancel it first"):
        await deleted(engine, job.id)
    assert len(engine.files()) == 1
    assert (await engine.repository.get(job.id)).original_filename == "ida.png"
    await engine.service.cancel(job.id)
    await deleted(engine, job.id)
    assert engine.files() == []


async def test_the_cache_never_answers_with_what_was_deleted(engine: Engine) -> None:
    runner = engine.runner(served_by="model 1")
    first, twin = await engine.submit(), await engine.submit()
    await runner.run(first.id)
    await runner.run(twin.id)
    assert len(engine.provider.runs) == 1, "the twin was answered from the first"
    await deleted(engine, first.id)
    assert await engine.result_of(twin), "the twin has a copy of its own"
    await deleted(engine, twin.id)
    third = await engine.submit()
    await runner.run(third.id)
    assert len(engine.provider.runs) == 2, "there is nothing left to be answered from"


async def test_the_janitor_finishes_a_deletion_that_was_cut_off(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await engine.ended(await engine.submit(filename="ida.png"))

    async def away(_keys: object) -> None:
        raise OSError("the store is away")

    with monkeypatch.context() as broken:
        broken.setattr(engine.store, "delete", away)
        with pytest.raises(OSError, match="away"):
            await deleted(engine, job.id)
    half = await engine.repository.get(job.id)
    assert (half.original_filename, half.cache_key, len(engine.files())) == (None, None, 2)
    await engine.janitor.sweep()
    assert engine.files() == []


async def test_what_is_left_of_deleted_files_is_swept(engine: Engine) -> None:
    """A result that was being moved while it was deleted."""
    job = await engine.ended(await engine.submit())
    await deleted(engine, job.id)
    await engine.store.put(str(job.result_key), photos.encoded("PNG"))
    engine.clock.forward(days=3650)
    await engine.janitor.sweep()
    assert engine.files() == []
