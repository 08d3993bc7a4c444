"""The same photo with the same wishes is answered from the kept result."""

from __future__ import annotations

from tests import photos
from tests.backends.conftest import BOTH_STORES
from tests.engine import Engine


@BOTH_STORES
async def test_the_same_photo_and_wishes_are_answered_from_the_kept_result(engine: Engine) -> None:
    runner = engine.runner(served_by="model 1")
    first, second = await engine.submit(), await engine.submit()
    await runner.run(first.id)
    await runner.run(second.id)
    assert len(engine.provider.runs) == 1
    jobs = [await engine.repository.get(job.id) for job in (first, second)]
    assert [job.status for job in jobs] == ["succeeded", "succeeded"]
    assert await engine.result_of(jobs[0]) == await engine.result_of(jobs[1])
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
