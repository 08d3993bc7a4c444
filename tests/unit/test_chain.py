"""The fallback chain: order, skipping, falling back, and keeping every cause."""

from __future__ import annotations

from dataclasses import replace

import pytest

from relume.errors import (
    AllProvidersFailed,
    JobCancelled,
    LeaseLost,
    ProviderBusy,
    ProviderRefused,
    ProviderTimeout,
    ProviderUnavailable,
    RelumeError,
)
from relume.imaging.decode import decode
from relume.imaging.photo import Photo
from relume.ports import Attempt, Result, RunContext
from relume.providers import chain as chain_module
from relume.providers.catalog import Catalog
from relume.providers.chain import Chain, Patience
from relume.recipes import build
from relume.settings import load_settings
from relume.tasks import Denoise, Task, Upscale
from tests import photos
from tests.providers import Behaviour, Held, ScriptedProvider


def failing(error: Exception) -> Behaviour:
    async def fail(_task: Task, _photo: Photo, _context: RunContext) -> None:
        raise error

    return fail


@pytest.fixture
def photo() -> Photo:
    return decode(photos.encoded("PNG"))


async def test_the_first_that_works_does_it(photo: Photo) -> None:
    first, second = ScriptedProvider(name="first"), ScriptedProvider(name="second")
    result = await Chain([first, second], {}).run(Upscale(2), photo, RunContext())
    assert (result.provider, result.fallback) == ("first", False)
    assert second.runs == []


async def test_the_order_comes_from_the_settings(photo: Photo) -> None:
    providers = [ScriptedProvider(name="first"), ScriptedProvider(name="second")]
    chain = Chain(providers, {"upscale": ("unknown", "second", "first")})
    assert (await chain.run(Upscale(2), photo, RunContext())).provider == "second"


async def test_a_provider_without_its_token_is_skipped(photo: Photo) -> None:
    first, second = ScriptedProvider(name="first"), ScriptedProvider(name="second")
    first.missing = "REPLICATE_API_TOKEN is not set"
    result = await Chain([first, second], {}).run(Upscale(2), photo, RunContext())
    assert (result.provider, result.fallback, first.runs) == ("second", False, [])


async def test_a_failure_goes_to_the_next_and_both_attempts_are_kept(photo: Photo) -> None:
    attempts: list[Attempt] = []
    context = RunContext(on_attempt=attempts.append)
    chain = Chain(
        [ScriptedProvider(failing(ProviderTimeout("Late.")), name="first"), ScriptedProvider(name="second")],
        {},
    )
    result = await chain.run(Upscale(2), photo, context)
    assert (result.provider, result.fallback) == ("second", True)
    assert [(attempt.provider, attempt.error_class) for attempt in attempts] == [
        ("first", "ProviderTimeout"),
        ("second", None),
    ]


async def test_what_can_pass_is_tried_again_and_what_cannot_is_not(
    photo: Photo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chain_module, "_FIRST_WAIT_SECONDS", 0.001)
    for error, tries in ((ProviderUnavailable("Away."), 3), (ProviderRefused("No."), 1)):
        attempts: list[Attempt] = []
        first = ScriptedProvider(failing(error), name="first")
        chain = Chain([first, ScriptedProvider(name="second")], {}, patience=Patience(attempts=3))
        result = await chain.run(Upscale(2), photo, RunContext(on_attempt=attempts.append))
        assert (result.provider, len(first.runs), len(attempts)) == ("second", tries, tries + 1)


async def test_the_pause_that_a_provider_asks_for_is_kept_if_it_is_short(photo: Photo) -> None:
    patience = Patience(attempts=3)
    assert patience.wait_seconds(1, ProviderBusy("Busy.", retry_after_seconds=7)) == 7
    assert patience.wait_seconds(1, ProviderBusy("Busy.", retry_after_seconds=300)) is None
    waits = [patience.wait_seconds(failed, ProviderBusy("Busy.")) for failed in (1, 2, 3)]
    assert waits[0] is not None
    assert waits[1] is not None
    assert 0.5 <= waits[0] <= 1.5 <= 3 * waits[1]
    assert waits[2] is None
    eager = Patience(attempts=20, backoff_factor=10)
    assert eager.wait_seconds(12, ProviderBusy("Busy.")) <= 30  # type: ignore[operator]


async def test_a_breaker_that_is_open_passes_a_provider_over(photo: Photo) -> None:
    first = ScriptedProvider(failing(ProviderTimeout("Late.")), name="first")
    chain = Chain([first, ScriptedProvider(name="second")], {})
    for _ in range(8):
        assert (await chain.run(Upscale(2), photo, RunContext())).provider == "second"
    assert len(first.runs) == 5
    await chain.run(Denoise(), photo, RunContext())
    assert len(first.runs) == 6, "another kind of task has a breaker of its own"


async def test_what_a_client_did_wrong_opens_no_breaker(photo: Photo) -> None:
    first = ScriptedProvider(failing(ProviderRefused("No such model.")), name="first")
    chain = Chain([first, ScriptedProvider(name="second")], {})
    for _ in range(8):
        await chain.run(Upscale(2), photo, RunContext())
    assert len(first.runs) == 8


async def test_a_refused_result_has_been_paid_for(photo: Photo) -> None:
    class Paid(ScriptedProvider):
        async def run(self, task: Task, photo: Photo | None, context: RunContext) -> Result:
            result = await super().run(task, photo, context)
            assert photo is not None
            return replace(result, photo=photo, external_id="p1", cost_usd=0.002)

    attempts: list[Attempt] = []
    chain = Chain([Paid(name="first"), ScriptedProvider(name="second")], {})
    await chain.run(Upscale(2), photo, RunContext(on_attempt=attempts.append))
    first = attempts[0]
    assert (first.error_class, first.external_id, first.cost_usd) == ("OutputInvalid", "p1", 0.002)


async def test_a_lost_lease_is_no_reason_to_try_the_next(photo: Photo) -> None:
    context = RunContext()
    context.lost.set()
    second = ScriptedProvider(name="second")
    with pytest.raises(LeaseLost):
        await Chain([ScriptedProvider(name="first"), second], {}).run(Upscale(2), photo, context)
    assert second.runs == []


async def test_a_provider_that_hangs_is_given_up(photo: Photo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain_module, "_GRACE_SECONDS", 0.05)
    first = ScriptedProvider(Held(), name="first")
    chain = Chain(
        [first, ScriptedProvider(name="second")], {}, patience=Patience(timeout_seconds=0.05, attempts=3)
    )
    result = await chain.run(Upscale(2), photo, RunContext())
    assert (result.provider, len(first.runs)) == ("second", 1)


async def test_an_unusable_output_goes_to_the_next(photo: Photo) -> None:
    class Blank(ScriptedProvider):
        async def run(self, task: Task, photo: Photo | None, context: RunContext) -> Result:
            result = await super().run(task, photo, context)
            assert result.photo is not None
            return replace(result, photo=result.photo.with_pixels(result.photo.pixels * 0 + 9))

    attempts: list[Attempt] = []
    chain = Chain([Blank(name="first"), ScriptedProvider(name="second")], {})
    result = await chain.run(Upscale(2), photo, RunContext(on_attempt=attempts.append))
    assert (result.provider, attempts[0].error_class) == ("second", "OutputInvalid")


async def test_when_all_fail_every_cause_is_kept_and_faults_are_masked(photo: Photo) -> None:
    chain = Chain(
        [
            ScriptedProvider(failing(ProviderTimeout("The first was late.")), name="first"),
            ScriptedProvider(failing(KeyError("/secret")), name="second"),
        ],
        {},
    )
    with pytest.raises(AllProvidersFailed) as caught:
        await chain.run(Upscale(2), photo, RunContext())
    assert "first: the first was late." in caught.value.detail
    assert "secret" not in caught.value.detail
    assert [type(cause).__name__ for cause in caught.value.causes] == ["ProviderTimeout", "InternalError"]


async def test_a_cancel_is_no_reason_to_try_the_next(photo: Photo) -> None:
    second = ScriptedProvider(name="second")
    context = RunContext()
    context.cancelled.set()
    with pytest.raises(JobCancelled):
        await Chain([ScriptedProvider(name="first"), second], {}).run(Upscale(2), photo, context)
    assert second.runs == []


async def test_without_any_provider_the_chain_says_so(photo: Photo) -> None:
    with pytest.raises(RelumeError, match="No configured service"):
        await Chain([], {}).run(Upscale(2), photo, RunContext())


def test_the_dummy_is_in_no_chain_unless_it_is_named() -> None:
    recipe = build("restoration/gfpgans-1.4", scale=4)
    assert Catalog(load_settings()).served_by(recipe) == ["builtin"]
    assert Catalog(load_settings()).lane(recipe) == "local"
    named = Catalog(load_settings(provider="generic"))
    assert (named.served_by(recipe), named.lane(recipe)) == (["generic"], "hosted")
    assert named.served_by(build("restoration/builtin-1")) == ["generic"]
    hosted = Catalog(load_settings(provider="replicate", replicate_api_token="r8_x"))
    assert hosted.served_by(recipe) == ["replicate"]
    assert hosted.served_by(build("restoration/builtin-1")) == ["builtin"], "a promise of the model id"


async def test_attempts_say_whether_they_stand_in_for_another(photo: Photo) -> None:
    attempts: list[Attempt] = []
    broken = ScriptedProvider(failing(ProviderRefused("No.")), name="first")
    chain = Chain([broken, ScriptedProvider(name="second")], {})
    await chain.run(Upscale(2), photo, RunContext(on_attempt=attempts.append))
    assert [(attempt.provider, attempt.fallback) for attempt in attempts] == [
        ("first", False),
        ("second", True),
    ]
