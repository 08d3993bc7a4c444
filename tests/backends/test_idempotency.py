"""The same Idempotency-Key gives the same job."""

from __future__ import annotations

import asyncio

import pytest

from relume.errors import IdempotencyMismatch
from tests import photos
from tests.backends.conftest import BOTH_STORES
from tests.engine import Engine


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
