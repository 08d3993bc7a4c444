"""What a failed run at Replicate costs, and what is left of a photo there."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest

from relume.errors import JobCancelled, ProviderError, ProviderTimeout, RelumeError
from relume.picture_models import FLUX_SCHNELL
from relume.ports import Attempt, RunContext, Spent
from relume.providers.chain import Chain, Patience
from relume.providers.replicate import ReplicateProvider
from relume.tasks import Task, TextToImage, Upscale
from tests.doubles.replicate import ReplicateDouble
from tests.doubles.script import Fault, Plan
from tests.unit.providers.hosted import MemoryIds, noise, photo

EIGHT_SECONDS_ON_A_T4: Any = pytest.approx(8 * 0.000225)


async def spent_at(replicate: ReplicateProvider, task: Task, **context: Any) -> Spent | None:
    """What a run that fails says it has cost."""
    source = None if isinstance(task, TextToImage) else photo()
    with pytest.raises(RelumeError) as caught:
        await replicate.run(task, source, RunContext(**context))
    spent: Spent | None = caught.value.extra.get("spent")
    return spent


@pytest.mark.parametrize("ends", ["failed", "canceled"])
async def test_a_failed_run_has_cost_its_seconds(
    double: ReplicateDouble, replicate: ReplicateProvider, ends: Any
) -> None:
    double.plan(Plan(ends=ends))
    spent = await spent_at(replicate, Upscale(2))
    assert spent is not None
    assert spent.cost_usd == EIGHT_SECONDS_ON_A_T4
    assert (spent.model, spent.external_id) == ("Real-ESRGAN", next(iter(double.state.predictions)))


async def test_a_failed_run_of_a_model_paid_by_the_run_is_free(
    double: ReplicateDouble, replicate: ReplicateProvider
) -> None:
    double.plan(Plan(model=FLUX_SCHNELL, ends="failed"))
    spent = await spent_at(replicate, TextToImage("a dog"))
    assert spent is not None
    assert spent.cost_usd == 0.0


async def test_a_run_that_never_started_is_free(
    double: ReplicateDouble, replicate: ReplicateProvider
) -> None:
    double.plan(Plan(ends="aborted"))
    spent = await spent_at(replicate, Upscale(2))
    assert spent is not None
    assert spent.cost_usd == 0.0


async def test_a_run_that_did_not_begin_has_cost_nothing(
    double: ReplicateDouble, replicate: ReplicateProvider
) -> None:
    double.fail(Fault(call="create", status=402))
    assert await spent_at(replicate, Upscale(2)) is None


async def test_a_run_that_was_given_up_has_cost_its_seconds(
    double: ReplicateDouble, replicate: ReplicateProvider
) -> None:
    double.plan(Plan(ends="never"))
    spent = await spent_at(replicate, Upscale(2), deadline=time.monotonic() + 3)
    assert spent is not None
    assert spent.cost_usd == EIGHT_SECONDS_ON_A_T4


async def test_a_result_that_could_not_be_used_has_cost_its_seconds(
    double: ReplicateDouble, replicate: ReplicateProvider
) -> None:
    double.plan(Plan(output="html"))
    spent = await spent_at(replicate, Upscale(2))
    assert spent is not None
    assert spent.cost_usd == EIGHT_SECONDS_ON_A_T4


async def test_the_attempt_keeps_it(double: ReplicateDouble, replicate: ReplicateProvider) -> None:
    double.plan(Plan(ends="failed"))
    attempts: list[Attempt] = []
    chain = Chain([replicate], {}, patience=Patience(attempts=1))
    with pytest.raises(RelumeError):
        await chain.run(Upscale(2), photo(), RunContext(on_attempt=attempts.append))
    (attempt,) = attempts
    assert (attempt.error_class, attempt.cost_usd) == ("ProviderError", EIGHT_SECONDS_ON_A_T4)
    assert attempt.external_id == next(iter(double.state.predictions))
    assert (attempt.model, attempt.version) == ("Real-ESRGAN", "f121d640bd28")


async def test_a_cancelled_job_keeps_it_too(double: ReplicateDouble, replicate: ReplicateProvider) -> None:
    double.plan(Plan(ends="never"))
    attempts: list[Attempt] = []
    cancelled = threading.Event()
    context = RunContext(on_attempt=attempts.append, cancelled=cancelled)
    running = asyncio.ensure_future(Chain([replicate], {}).run(Upscale(2), noise(400, 300), context))
    while double.counts["get"] < 2:
        await asyncio.sleep(0.01)
    cancelled.set()
    with pytest.raises(JobCancelled):
        await running
    assert [(attempt.error_class, attempt.cost_usd) for attempt in attempts] == [
        ("JobCancelled", EIGHT_SECONDS_ON_A_T4)
    ]
    assert double.state.files == {}, "and nothing of the photo is left there"


def photos_left(double: ReplicateDouble) -> list[str]:
    uploaded = {asked["image"].rpartition("/")[2] for asked in double.inputs if "image" in asked}
    return sorted(uploaded & set(double.state.files))


@pytest.mark.parametrize(
    ("plan", "error"),
    [
        (Plan(), None),
        (Plan(ends="failed"), ProviderError),
        (Plan(output="html"), ProviderError),
        (Plan(ends="never"), ProviderTimeout),
    ],
)
async def test_an_uploaded_photo_is_deleted_when_its_run_has_ended(
    double: ReplicateDouble, replicate: ReplicateProvider, plan: Plan, error: type[RelumeError] | None
) -> None:
    double.plan(plan)
    ids = MemoryIds()
    deadline = time.monotonic() + (3 if error is ProviderTimeout else 60)
    running = replicate.run(Upscale(2), noise(400, 300), RunContext(external_ids=ids, deadline=deadline))
    if error is None:
        assert (await running).photo is not None
    else:
        with pytest.raises(error):
            await running
    assert (double.counts["upload"], double.counts["delete"]) == (1, 1)
    assert photos_left(double) == []
    assert "replicate.file" not in ids.ids


async def test_a_photo_that_cannot_be_deleted_spoils_nothing(
    double: ReplicateDouble, replicate: ReplicateProvider
) -> None:
    double.fail(Fault(call="delete"))
    result = await replicate.run(Upscale(2), noise(400, 300), RunContext())
    assert result.photo is not None
    assert len(photos_left(double)) == 1


async def test_a_photo_that_is_gone_already_is_no_failure(
    double: ReplicateDouble, replicate: ReplicateProvider
) -> None:
    ids = MemoryIds(**{"replicate.file": "gone"})
    assert (await replicate.run(Upscale(2), photo(), RunContext(external_ids=ids))).photo is not None
    assert (double.counts["delete"], ids.ids.get("replicate.file")) == (1, None)


async def test_the_next_process_deletes_what_a_stopped_one_has_uploaded(
    double: ReplicateDouble, replicate: ReplicateProvider
) -> None:
    double.plan(Plan(latency_seconds=0.5))
    ids = MemoryIds()
    context = RunContext(external_ids=ids)
    running = asyncio.ensure_future(replicate.run(Upscale(2), noise(400, 300), context))
    while double.counts["get"] < 1:
        await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert len(photos_left(double)) == 1, "the run there may not have read it yet"
    next_process = ReplicateProvider("secret", double.url)
    await next_process.run(Upscale(2), noise(400, 300), RunContext(external_ids=ids))
    await next_process.aclose()
    assert (double.counts["create"], double.counts["upload"]) == (1, 1)
    assert photos_left(double) == []


async def test_an_upload_that_cannot_be_remembered_is_deleted(
    double: ReplicateDouble, replicate: ReplicateProvider
) -> None:
    class Broken(MemoryIds):
        async def remember(self, step: int, provider: str, external_id: str) -> None:
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        await replicate.run(Upscale(2), noise(400, 300), RunContext(external_ids=Broken()))
    assert (double.counts["create"], double.state.files) == (0, {})
