"""Cancellation at the worst moment: in a transaction, and while an event arrives."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest

from relume.jobs.unbroken import unbroken
from relume.ports import JobEvent
from relume.queues.events import MemoryEvents


@unbroken
class Ledger:
    def __init__(self) -> None:
        self.steps: list[str] = []
        self.begun = asyncio.Event()
        self.may_commit = asyncio.Event()

    async def write(self) -> str:
        self.steps.append("begin")
        self.begun.set()
        await self.may_commit.wait()
        self.steps.append("commit")
        return "written"


async def test_a_cancelled_caller_waits_for_its_transaction() -> None:
    ledger = Ledger()
    caller = asyncio.create_task(ledger.write())
    await ledger.begun.wait()
    caller.cancel()
    await asyncio.sleep(0.01)
    assert not caller.done()
    ledger.may_commit.set()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert ledger.steps == ["begin", "commit"]


async def test_a_watcher_is_cancelled_even_while_an_event_arrives() -> None:
    events, job_id = MemoryEvents(), uuid4()

    async def watch() -> None:
        async for _ in events.subscribe(job_id):
            pass

    for _ in range(50):
        watcher = asyncio.create_task(watch())
        await asyncio.sleep(0)
        events.publish(JobEvent(job_id, "running", 0.5))
        watcher.cancel()
        done, _ = await asyncio.wait([watcher], timeout=1)
        assert done, "the cancellation was swallowed"
    assert events._watchers == {}


async def test_a_slow_watcher_loses_old_events_not_new_ones() -> None:
    events, job_id = MemoryEvents(), uuid4()
    watching = events.subscribe(job_id)
    first = asyncio.ensure_future(anext(watching))
    await asyncio.sleep(0)
    for number in range(500):
        events.publish(JobEvent(job_id, "running", number / 500))
    await first
    seen = [await anext(watching) for _ in range(63)]
    assert seen[-1] is not None
    assert seen[-1].progress == 499 / 500
