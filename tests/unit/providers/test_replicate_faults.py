"""What comes of each fault of Replicate: its kind, its sentence, and that nobody pays twice."""

from __future__ import annotations

from typing import Any

import pytest

from relume.errors import (
    OutputInvalid,
    ProviderBusy,
    ProviderError,
    ProviderNoCredit,
    ProviderRefused,
    ProviderUnavailable,
)
from relume.ports import RunContext
from relume.providers.replicate import ReplicateProvider
from relume.tasks import Upscale
from tests.doubles.replicate import ReplicateDouble
from tests.doubles.script import Fault, Plan
from tests.unit.providers.hosted import MemoryIds, photo

SENTENCES = {
    "busy": "Replicate is busy at the moment.",
    "away": "Replicate cannot be reached at the moment.",
    "late": "Replicate did not finish in time.",
}


@pytest.mark.parametrize(
    ("fault", "kind", "sentence", "can_pass"),
    [
        ({"status": 500}, ProviderError, SENTENCES["away"], False),
        ({"status": 502}, ProviderError, SENTENCES["away"], False),
        ({"status": 503, "body": "<html>"}, ProviderUnavailable, SENTENCES["away"], True),
        ({"status": 402}, ProviderNoCredit, "Replicate has no credit left for us.", False),
        ({"status": 401}, ProviderRefused, "Replicate did not accept our key.", False),
        ({"status": 403}, ProviderRefused, "Replicate did not accept our key.", False),
        ({"status": 404}, ProviderRefused, "Replicate does not know what it was asked for.", False),
        ({"status": 422}, ProviderRefused, "Replicate did not accept the request.", False),
        ({"status": 429, "body": "{}"}, ProviderBusy, SENTENCES["busy"], True),
        ({"status": 201, "body": "<html>Hi</html>"}, ProviderError, None, False),
        ({"status": 201, "body": '["no prediction"]'}, ProviderError, None, False),
        ({"status": 201, "body": '{"id": "../../files", "status": "starting"}'}, ProviderError, None, False),
        ({"status": 302, "headers": {"Location": "/elsewhere"}}, ProviderError, None, False),
        ({"breaks_off": True}, ProviderError, "The connection to Replicate broke off.", False),
    ],
)
async def test_a_run_that_cannot_begin(
    double: ReplicateDouble,
    replicate: ReplicateProvider,
    fault: dict[str, Any],
    kind: type[ProviderError],
    sentence: str | None,
    can_pass: bool,
) -> None:
    double.fail(Fault(call="create", **fault))
    ids = MemoryIds()
    with pytest.raises(ProviderError) as caught:
        await replicate.run(Upscale(2), photo(), RunContext(external_ids=ids))
    assert type(caught.value) is kind
    assert caught.value.detail == (sentence or "Replicate gave an answer we do not understand.")
    assert caught.value.can_pass is can_pass
    assert double.counts["create"] == 1, "what may have been paid for is never asked twice"
    assert not ids.ids


@pytest.mark.parametrize(
    "fault",
    [
        Fault(call="create", status=429, headers={"Retry-After": "30"}, body="{}"),
        Fault(
            call="create",
            status=429,
            body='{"detail": "Request was throttled. Your rate limit resets in ~30s."}',
        ),
    ],
)
async def test_busy_says_for_how_long(
    double: ReplicateDouble, replicate: ReplicateProvider, fault: Fault
) -> None:
    double.fail(fault)
    with pytest.raises(ProviderBusy) as caught:
        await replicate.run(Upscale(2), photo(), RunContext())
    assert caught.value.extra["retry_after_seconds"] == 30
    assert (await replicate.run(Upscale(2), photo(), RunContext())).photo is not None


async def test_a_server_that_is_down_can_be_tried_again(
    double: ReplicateDouble, replicate: ReplicateProvider
) -> None:
    double.stop()
    with pytest.raises(ProviderUnavailable, match="cannot be reached"):
        await replicate.run(Upscale(2), photo(), RunContext())
    double.start()
    assert (await replicate.run(Upscale(2), photo(), RunContext())).photo is not None


@pytest.mark.parametrize(
    ("plan", "kind", "sentence"),
    [
        (Plan(ends="failed"), ProviderError, "Replicate could not process this."),
        (Plan(ends="canceled"), ProviderError, "The run at Replicate was cancelled."),
        (Plan(ends="aborted"), ProviderError, "Replicate did not start in time."),
        (Plan(output="null"), OutputInvalid, "Replicate finished, but gave no image."),
        (Plan(output="empty"), OutputInvalid, "Replicate finished, but gave no image."),
        (Plan(output="html"), OutputInvalid, "Replicate gave no picture."),
        (Plan(output="elsewhere"), OutputInvalid, "Replicate named a file in an unexpected place."),
    ],
)
async def test_a_run_that_ends_badly(
    double: ReplicateDouble,
    replicate: ReplicateProvider,
    plan: Plan,
    kind: type[ProviderError],
    sentence: str,
) -> None:
    double.plan(plan)
    ids = MemoryIds()
    with pytest.raises(ProviderError) as caught:
        await replicate.run(Upscale(2), photo(), RunContext(external_ids=ids))
    assert type(caught.value) is kind
    assert caught.value.detail == sentence
    assert ids.events == ["remember", "forget"]


async def test_the_providers_own_words_are_for_the_log_alone(
    double: ReplicateDouble, replicate: ReplicateProvider
) -> None:
    double.plan(Plan(ends="failed", error="CUDA error in /src/secret.py"))
    with pytest.raises(ProviderError) as caught:
        await replicate.run(Upscale(2), photo(), RunContext())
    assert "CUDA" not in caught.value.detail
    assert "CUDA error in /src/secret.py" in str(caught.value.__cause__)


@pytest.mark.parametrize(
    "fault",
    [
        Fault(call="get", status=502, times=3),
        Fault(call="get", breaks_off=True, times=3),
        Fault(call="get", status=429, body='{"detail": "resets in ~0.1s"}'),
        Fault(call="output", status=503, times=2),
        Fault(call="output", breaks_off=True),
    ],
)
async def test_what_can_pass_is_waited_out(
    double: ReplicateDouble, replicate: ReplicateProvider, fault: Fault
) -> None:
    double.fail(fault)
    assert (await replicate.run(Upscale(2), photo(), RunContext())).photo is not None
    assert double.counts["create"] == 1


async def test_a_file_that_cannot_be_fetched_now_is_fetched_by_the_next_try(
    double: ReplicateDouble, replicate: ReplicateProvider
) -> None:
    double.fail(Fault(call="output", status=503, times=3))
    ids = MemoryIds()
    with pytest.raises(ProviderUnavailable):
        await replicate.run(Upscale(2), photo(), RunContext(external_ids=ids))
    assert (await replicate.run(Upscale(2), photo(), RunContext(external_ids=ids))).photo is not None
    assert double.counts["create"] == 1
