"""Deadlines, cancels, restarts: a run at Replicate is paid once, and never left running for nobody."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest

from relume.errors import (
    JobCancelled,
    ProviderError,
    ProviderTimeout,
)
from relume.ports import RunContext
from relume.providers.replicate import ReplicateProvider
from relume.tasks import Upscale
from tests.doubles.replicate import ReplicateDouble
from tests.doubles.script import Fault, Plan
from tests.unit.providers.hosted import MemoryIds, photo


async def test_a_run_that_never_ends_is_cancelled_at_the_deadline(
    double: ReplicateDouble, replicate: ReplicateProvider
) -> None:
    double.plan(Plan(ends="never"))
    ids = MemoryIds()
    with pytest.raises(ProviderTimeout, match=r"did not finish in time\."):
        await replicate.run(Upscale(2), photo(), RunContext(deadline=time.monotonic() + 2, external_ids=ids))
    assert double.statuses == ["canceled"]
    assert ids.events == ["remember", "forget"]


async def test_a_hanging_answer_does_not_outlast_the_deadline(
    double: ReplicateDouble, replicate: ReplicateProvider
) -> None:
    double.fail(Fault(call="get", delay_seconds=3600))
    with pytest.raises(ProviderTimeout):
        await replicate.run(Upscale(2), photo(), RunContext(deadline=time.monotonic() + 2))
    assert double.statuses == ["canceled"]


async def test_nothing_begins_after_the_deadline(
    double: ReplicateDouble, replicate: ReplicateProvider
) -> None:
    with pytest.raises(ProviderTimeout):
        await replicate.run(Upscale(2), photo(), RunContext(deadline=time.monotonic() - 1))
    assert double.counts["create"] == 0


async def test_a_cancelled_job_is_cancelled_there(
    double: ReplicateDouble, replicate: ReplicateProvider
) -> None:
    double.plan(Plan(ends="never"))
    ids, cancelled = MemoryIds(), threading.Event()
    context = RunContext(external_ids=ids, cancelled=cancelled)
    running = asyncio.ensure_future(replicate.run(Upscale(2), photo(), context))
    while double.counts["get"] < 2:
        await asyncio.sleep(0.01)
    cancelled.set()
    with pytest.raises(JobCancelled):
        await running
    assert double.statuses == ["canceled"]
    assert ids.events == ["remember", "forget"]


async def test_a_stopping_process_leaves_its_run_to_the_next_one(
    double: ReplicateDouble, replicate: ReplicateProvider
) -> None:
    double.plan(Plan(latency_seconds=0.5))
    ids = MemoryIds()
    running = asyncio.ensure_future(replicate.run(Upscale(2), photo(), RunContext(external_ids=ids)))
    while double.counts["get"] < 1:
        await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert double.counts["cancel"] == 0
    next_process = ReplicateProvider("secret", double.url)
    result = await next_process.run(Upscale(2), photo(), RunContext(external_ids=ids))
    await next_process.aclose()
    assert result.photo is not None
    assert (double.counts["create"], double.counts["cancel"]) == (1, 0)


async def test_a_process_that_stops_while_it_begins_a_run_still_remembers_it(
    double: ReplicateDouble, replicate: ReplicateProvider
) -> None:
    ids = MemoryIds()
    running = asyncio.ensure_future(replicate.run(Upscale(2), photo(), RunContext(external_ids=ids)))
    while double.counts["create"] < 1:
        await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert list(ids.ids.values()) == list(double.state.predictions)


async def test_a_run_that_cannot_be_remembered_is_cancelled(
    double: ReplicateDouble, replicate: ReplicateProvider
) -> None:
    class Broken(MemoryIds):
        async def remember(self, step: int, provider: str, external_id: str) -> None:
            raise OSError("disk full")

    double.plan(Plan(ends="never"))
    with pytest.raises(OSError, match="disk full"):
        await replicate.run(Upscale(2), photo(), RunContext(external_ids=Broken()))
    assert double.statuses == ["canceled"]


@pytest.mark.parametrize("is_erased", [True, False])
async def test_a_remembered_run_that_is_gone_is_begun_anew(
    double: ReplicateDouble, replicate: ReplicateProvider, is_erased: bool
) -> None:
    ids = MemoryIds(replicate="longgone")
    if is_erased:
        double.plan(Plan(output="erased"))
        with pytest.raises(ProviderError, match="has lost our run"):
            await replicate.run(Upscale(2), photo(), RunContext())
        ids.ids["replicate"] = next(iter(double.state.predictions))
    result = await replicate.run(Upscale(2), photo(), RunContext(external_ids=ids))
    assert result.photo is not None
    assert ids.events == ["forget", "remember"]


@pytest.mark.parametrize("ends", ["failed", "canceled", "aborted"])
async def test_a_remembered_run_that_failed_fails_the_next_try_and_is_forgotten(
    double: ReplicateDouble, replicate: ReplicateProvider, ends: Any
) -> None:
    double.plan(Plan(ends=ends))
    remembered = double.state.create({"prompt": "a dog"}, version="f" * 64, model=None)
    ids = MemoryIds(replicate=remembered.id)
    with pytest.raises(ProviderError):
        await replicate.run(Upscale(2), photo(), RunContext(external_ids=ids))
    assert double.counts["create"] == 0
    assert not ids.ids


async def test_progress_never_goes_back(double: ReplicateDouble, replicate: ReplicateProvider) -> None:
    double.fail(Fault(call="get", status=502, times=2))
    told: list[float] = []
    context = RunContext(on_progress=lambda fraction, _step: told.append(fraction))
    await replicate.run(Upscale(2), photo(), context)
    assert told == sorted(told)
    assert told[-1] > 0.5
