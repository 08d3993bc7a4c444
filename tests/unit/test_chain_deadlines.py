"""How a chain divides the time until somebody stops waiting: whoever comes last always has a turn."""

from __future__ import annotations

import math
import time

import pytest

from relume.errors import AllProvidersFailed, ProviderTimeout, ProviderUnavailable
from relume.imaging.decode import decode
from relume.imaging.photo import Photo
from relume.ports import RunContext
from relume.providers import chain as chain_module
from relume.providers.chain import Chain, Patience
from relume.tasks import Task, Upscale
from tests import photos
from tests.providers import Behaviour, ScriptedProvider
from tests.unit.providers.hosted import MemoryIds


@pytest.fixture
def photo() -> Photo:
    return decode(photos.encoded("PNG"))


class Recorder:
    """Notes the deadlines that providers are given, and fails for those that are to fail."""

    def __init__(self) -> None:
        self.deadlines: dict[str, float] = {}

    def of(self, name: str, error: Exception | None = None) -> ScriptedProvider:
        return ScriptedProvider(self._behaviour(name, error), name=name)

    def _behaviour(self, name: str, error: Exception | None) -> Behaviour:
        async def behave(_task: Task, _photo: Photo, context: RunContext) -> None:
            assert context.deadline is not None
            self.deadlines[name] = context.deadline
            if error is not None:
                raise error

        return behave


async def test_each_has_an_equal_part_of_what_is_left_and_the_last_its_usual_time(photo: Photo) -> None:
    seen, late = Recorder(), ProviderTimeout("Late.")
    providers = [seen.of("first", late), seen.of("second", late), seen.of("last")]
    before = time.monotonic()
    result = await Chain(providers, {}).run(Upscale(2), photo, RunContext(deadline=before + 90))
    after = time.monotonic()
    assert (result.provider, result.fallback) == ("last", True)

    def part(now: float, turns: int) -> float:
        return now + (before + 90 - now) / turns

    assert part(before, 3) <= seen.deadlines["first"] <= part(after, 3)
    assert part(before, 2) <= seen.deadlines["second"] <= part(after, 2)
    assert before + 120 <= seen.deadlines["last"] <= after + 120


async def test_no_attempt_has_more_than_the_usual_time(photo: Photo) -> None:
    seen = Recorder()
    providers = [seen.of("first"), seen.of("last")]
    await Chain(providers, {}).run(Upscale(2), photo, RunContext(deadline=time.monotonic() + 900))
    assert seen.deadlines["first"] <= time.monotonic() + 120


async def test_when_nobody_waits_any_more_the_last_one_does_it(photo: Photo) -> None:
    first, last = ScriptedProvider(name="first"), ScriptedProvider(name="last")
    context = RunContext(deadline=time.monotonic() - 1)
    result = await Chain([first, last], {}).run(Upscale(2), photo, context)
    assert (result.provider, result.fallback, first.runs) == ("last", True, [])


async def test_one_alone_has_its_usual_time_whatever_the_deadline(photo: Photo) -> None:
    context = RunContext(deadline=time.monotonic() - 1)
    assert (await Chain([ScriptedProvider(name="only")], {}).run(Upscale(2), photo, context)).provider


async def test_a_run_that_has_begun_is_looked_at_even_when_it_is_late(photo: Photo) -> None:
    seen = Recorder()
    context = RunContext(deadline=time.monotonic() - 1, external_ids=MemoryIds(first="p1"))
    result = await Chain([seen.of("first"), seen.of("last")], {}).run(Upscale(2), photo, context)
    assert result.provider == "first"
    assert seen.deadlines["first"] <= time.monotonic() + chain_module._LEAST_SECONDS


async def test_local_work_is_never_passed_over(photo: Photo) -> None:
    class Device(ScriptedProvider):
        needs_device = True

    context = RunContext(deadline=time.monotonic() - 1)
    chain = Chain([Device(name="local"), ScriptedProvider(name="last")], {})
    assert (await chain.run(Upscale(2), photo, context)).provider == "local"


async def test_what_can_pass_is_not_waited_for_without_time(photo: Photo) -> None:
    first = ScriptedProvider(Recorder()._behaviour("first", ProviderUnavailable("Away.")), name="first")
    chain = Chain([first, ScriptedProvider(name="last")], {}, patience=Patience(attempts=5))
    tight = RunContext(deadline=time.monotonic() + 2 * chain_module._LEAST_SECONDS + 0.1)
    assert (await chain.run(Upscale(2), photo, tight)).provider == "last"
    assert len(first.runs) <= 1


async def test_the_sentence_says_who_had_no_time(photo: Photo) -> None:
    last = ScriptedProvider(Recorder()._behaviour("last", ProviderUnavailable("It is away.")), name="last")
    chain = Chain([ScriptedProvider(name="first"), last], {}, patience=Patience(attempts=1))
    with pytest.raises(AllProvidersFailed) as caught:
        await chain.run(Upscale(2), photo, RunContext(deadline=-math.inf))
    assert caught.value.detail == (
        "All services failed: first: there was no time left to ask it. last: it is away."
    )
