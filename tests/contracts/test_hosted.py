"""Contracts A and B over Replicate's double: what a client gets when the hosted service does this or that."""

from __future__ import annotations

import asyncio
import base64
import io
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import pytest
from PIL import Image
from skimage import data as samples

from relume.http.contracts import mobile
from relume.jobs.models import AttemptRow
from relume.providers import chain
from tests import photos
from tests.contracts.conftest import Client, Start
from tests.doubles.replicate import ReplicateDouble
from tests.doubles.script import Fault, Plan
from tests.loopback import Loopback

TOKEN = "r8_test_token"
GFPGAN = "0fbacf7afc6c144e5be9767cff80f25aff23e52b0708f17e20f9879b2f21516c"
REAL_ESRGAN = "f121d640bd286e1fdc67f9799164c1d5be36ff74576ee11c803ae5b665dd46aa"


@pytest.fixture
def double() -> Iterator[ReplicateDouble]:
    with ReplicateDouble() as double:
        yield double


@pytest.fixture(autouse=True)
def _quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain, "_FIRST_WAIT_SECONDS", 0.01)


def portrait(format_: str = "PNG") -> bytes:
    out = io.BytesIO()
    sample = samples.astronaut()  # type: ignore[no-untyped-call]
    Image.fromarray(sample[:128, 160:288]).save(out, format_)
    return out.getvalue()


def settings(double: ReplicateDouble, **more: Any) -> dict[str, Any]:
    return {"replicate_api_token": TOKEN, "replicate_base_url": double.url} | more


async def enlarged(client: Client, data: bytes | None = None) -> dict[str, Any]:
    """One photo through `hd-image`; its answer, and its attempts as `attempts`."""
    body = {"image": base64.b64encode(data or portrait()).decode(), "scale": 2}
    response = await client.http.post("/api/ai/hd-image", json=body)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    answer["attempts"] = await client.services.jobs.repository.attempts(UUID(answer["job_id"]))
    answer["job"] = await client.services.jobs.get(UUID(answer["job_id"]))
    return answer


def told(attempts: list[AttemptRow]) -> list[tuple[str, str | None]]:
    return [(attempt.provider, attempt.error_class) for attempt in attempts]


async def test_contract_a_runs_gfpgan_and_then_real_esrgan(start: Start, double: ReplicateDouble) -> None:
    data = portrait("JPEG")
    async with Loopback() as web:
        web.pages["/p.jpg"] = (200, {}, data)
        allowed = f"127.0.0.1:{web.port}"
        async with start(**settings(double), fetch_allowed_hosts=allowed) as client:
            accepted = await client.http.post("/restore", json={"imageUrl": web.url("/p.jpg")})
            job_id = accepted.json()["jobId"]
            await client.ended(job_id)
            state = (await client.http.get(f"/restore/{job_id}")).json()
            job = await client.services.jobs.get(UUID(job_id))
            assert await client.services.store.get(str(job.input_key)) == data
            result = photos.opened((await client.http.get(state["restoredUrl"])).content)
    assert state["status"] == "completed"
    assert state["pipeline"] == ["GFPGAN", "Real-ESRGAN"]
    assert result.size == (512, 512)
    assert double.counts["create"] == 2
    faces, upscale = double.inputs
    assert (faces["version"], faces["scale"]) == ("v1.4", 2)
    assert "img" in faces
    assert upscale["scale"] == 2
    assert "image" in upscale
    creations = [call for call in double.received if call.method == "POST" and call.path == "/v1/predictions"]
    assert {call.authorization for call in creations} == {f"Bearer {TOKEN}"}
    steps = state["metadata"]["steps"]
    assert [step["provider"] for step in steps] == ["replicate", "replicate"]
    assert [step["version"] for step in steps] == [GFPGAN[:12], REAL_ESRGAN[:12]]
    assert state["metadata"]["cost_usd"] > 0
    assert state["metadata"]["fidelity"] > 0.5


async def by_url(client: Client, web: Loopback) -> dict[str, Any]:
    """The portrait through contract A, to its end."""
    web.pages["/p.jpg"] = (200, {}, portrait("JPEG"))
    accepted = await client.http.post("/restore", json={"imageUrl": web.url("/p.jpg")})
    job_id = accepted.json()["jobId"]
    await client.ended(job_id)
    state: dict[str, Any] = (await client.http.get(f"/restore/{job_id}")).json()
    return state


async def test_contract_a_names_the_fallback_where_it_ran(start: Start, double: ReplicateDouble) -> None:
    double.plan(Plan(model="nightmareai/real-esrgan", ends="failed", times=None))
    async with Loopback() as web:
        allowed = f"127.0.0.1:{web.port}"
        async with start(**settings(double), fetch_allowed_hosts=allowed) as client:
            state = await by_url(client, web)
    assert state["pipeline"] == ["GFPGAN", "Relume built-in"]
    assert state["metadata"]["outcome"] == "degraded"
    told = {"provider", "model", "version", "seconds", "cost_usd"}
    assert all(told <= set(step) for step in state["metadata"]["steps"])


async def test_contract_a_fails_only_after_the_last(start: Start, double: ReplicateDouble) -> None:
    double.plan(Plan(ends="failed", times=None))
    async with Loopback() as web:
        allowed = f"127.0.0.1:{web.port}"
        async with start(**settings(double, provider="replicate"), fetch_allowed_hosts=allowed) as client:
            state = await by_url(client, web)
            original = web.url("/p.jpg")
    assert state == {
        "status": "failed",
        "originalUrl": original,
        "error": "All services failed: Replicate could not process this.",
    }


async def test_b_says_who_worked_and_what_it_cost(start: Start, double: ReplicateDouble) -> None:
    async with start(**settings(double)) as client:
        answer = await enlarged(client)
        assert answer["source"] == "replicate"
        assert told(answer["attempts"]) == [("replicate", None)]
        assert answer["job"].cost_usd == answer["attempts"][0].cost_usd > 0
        assert (answer["job"].outcome, double.counts["create"]) == ("restored", 1)
        again = await enlarged(client)
        assert (again["source"], again["job"].cost_usd, again["attempts"]) == ("replicate", 0.0, [])
        assert double.counts["create"] == 1, "the same photo is answered from the kept result"


def plan(**options: Any) -> Callable[[ReplicateDouble], None]:
    return lambda double: double.plan(Plan(**options))


def fault(**options: Any) -> Callable[[ReplicateDouble], None]:
    return lambda double: double.fail(Fault(**options))


FAILURES: list[tuple[str, Callable[[ReplicateDouble], None], list[str | None]]] = [
    ("500: a run may have begun", fault(call="create", times=9), ["ProviderError"]),
    ("503 for ever", fault(call="create", status=503, times=9), ["ProviderUnavailable"] * 3),
    ("503, then well", fault(call="create", status=503), ["ProviderUnavailable", None]),
    ("402", fault(call="create", status=402), ["ProviderNoCredit"]),
    ("401", fault(call="create", status=401), ["ProviderRefused"]),
    (
        "429, then well",
        fault(call="create", status=429, headers={"Retry-After": "1"}),
        ["ProviderBusy", None],
    ),
    (
        "429 in words",
        fault(call="create", status=429, body='{"detail": "Your rate limit resets in ~1s."}'),
        ["ProviderBusy", None],
    ),
    ("429 for long", fault(call="create", status=429, headers={"Retry-After": "600"}), ["ProviderBusy"]),
    ("a broken connection", fault(call="create", breaks_off=True), ["ProviderError"]),
    ("HTML for an image", plan(output="html"), ["OutputInvalid"]),
    ("a blank image", plan(output="blank"), ["OutputInvalid"]),
    ("the input", plan(output="input"), ["OutputInvalid"]),
    ("null", plan(output="null"), ["OutputInvalid"]),
    ("an empty list", plan(output="empty"), ["OutputInvalid"]),
    ("a file elsewhere", plan(output="elsewhere"), ["OutputInvalid"]),
    ("a list", plan(as_list=True), [None]),
    ("a data URI", plan(output="data"), [None]),
    ("a file object", plan(output="object"), [None]),
    ("failed", plan(ends="failed"), ["ProviderError"]),
    ("canceled", plan(ends="canceled"), ["ProviderError"]),
    ("aborted", plan(ends="aborted"), ["ProviderError"]),
    ("nobody there", ReplicateDouble.stop, ["ProviderUnavailable"] * 3),
    ("never done", plan(ends="never"), ["ProviderTimeout"]),
]


@pytest.mark.parametrize(
    ("arrange", "errors"), [case[1:] for case in FAILURES], ids=[case[0] for case in FAILURES]
)
async def test_whatever_happens_there_the_photo_is_enlarged(
    start: Start,
    double: ReplicateDouble,
    arrange: Callable[[ReplicateDouble], None],
    errors: list[str | None],
) -> None:
    arrange(double)
    patience_seconds = 1.5 if errors == ["ProviderTimeout"] else 30
    async with start(**settings(double, provider_timeout_seconds=patience_seconds)) as client:
        answer = await enlarged(client)
    succeeded = errors[-1] is None
    builtin = [] if succeeded else [("builtin", None)]
    assert told(answer["attempts"]) == [("replicate", error) for error in errors] + builtin
    assert answer["source"] == ("replicate" if succeeded else "builtin")
    assert answer["job"].outcome == ("restored" if succeeded else "degraded")
    assert photos.opened(base64.b64decode(answer["image"].partition(",")[2])).size == (256, 256)
    paid = [attempt for attempt in answer["attempts"] if attempt.cost_usd]
    assert len(paid) <= 1
    assert answer["job"].cost_usd == pytest.approx(sum(attempt.cost_usd for attempt in paid))
    left_running = [status for status in double.statuses if status in ("starting", "processing")]
    if errors != ["ProviderError"] or double.counts["get"]:
        assert left_running == []
    else:  # Nobody has the id of a run whose answer was lost; Replicate ends it by itself.
        assert all(call.cancel_after for call in double.received if call.path == "/v1/predictions")


async def test_a_service_that_hangs_leaves_time_for_the_fallback(
    start: Start, double: ReplicateDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mobile, "WORK_SECONDS", 4.0)
    monkeypatch.setattr(chain, "_LEAST_SECONDS", 0.1)
    double.plan(Plan(ends="never", times=None))
    async with start(**settings(double)) as client:
        answer = await enlarged(client)
    assert (answer["source"], answer["job"].outcome) == ("builtin", "degraded")
    assert "processing" not in double.statuses


async def test_a_service_whose_answers_hang_leaves_time_too(
    start: Start, double: ReplicateDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mobile, "WORK_SECONDS", 4.0)
    monkeypatch.setattr(chain, "_LEAST_SECONDS", 0.1)
    double.fail(Fault(call="create", delay_seconds=3600, times=9))
    async with start(**settings(double)) as client:
        assert (await enlarged(client))["source"] == "builtin"


async def test_a_result_that_comes_too_late_for_the_call_is_kept(
    start: Start, double: ReplicateDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mobile, "WAIT_SECONDS", 0.3)
    monkeypatch.setattr(mobile, "WORK_SECONDS", 3.0)
    monkeypatch.setattr(chain, "_LEAST_SECONDS", 0.1)
    double.plan(Plan(ends="never", times=None))
    async with start(**settings(double)) as client:
        body = {"image": base64.b64encode(portrait()).decode(), "scale": 2}
        response = await client.http.post("/api/ai/hd-image", json=body)
        assert response.status_code == 504
        assert set(response.json()) == {"success", "error", "job_id"}
        state = await client.ended(response.json()["job_id"])
        assert state["status"] == "succeeded"
        result = photos.opened((await client.http.get(state["result_url"])).content)
    assert result.size == (256, 256)


async def test_the_token_stays_out_of_answers_and_logs(
    start: Start, double: ReplicateDouble, capsys: pytest.CaptureFixture[str]
) -> None:
    double.fail(Fault(call="create", status=401, body=f'{{"detail": "bad token {TOKEN}"}}'))
    async with start(**settings(double), provider="replicate") as client:
        body = {"image": base64.b64encode(portrait()).decode(), "scale": 2}
        response = await client.http.post("/api/ai/hd-image", json=body)
    assert response.status_code == 502
    assert response.json()["error"] == "All services failed: Replicate did not accept our key."
    assert TOKEN not in response.text


async def test_a_cancelled_job_is_cancelled_there_too(start: Start, double: ReplicateDouble) -> None:
    double.plan(Plan(ends="never"))
    async with start(**settings(double)) as client:
        job_id = (await client.restore(portrait())).json()["job_id"]
        async with asyncio.timeout(10):
            while not double.counts["create"]:
                await asyncio.sleep(0.02)
        loop = asyncio.get_running_loop()
        asked = loop.time()
        await client.http.delete(f"/v1/jobs/{job_id}")
        assert (await client.ended(job_id))["error"] == "The job was cancelled."
        assert loop.time() - asked < 5
    assert double.statuses == ["canceled"]


async def test_a_photo_for_this_machine_only_is_sent_nowhere(start: Start, double: ReplicateDouble) -> None:
    async with start(**settings(double)) as client:
        await client.restored(portrait(), model_id="restoration/builtin-1", upscale=2)
        models = {model["id"]: model for model in (await client.http.get("/v1/models")).json()["models"]}
    assert double.received == []
    assert models["restoration/gfpgans-1.4"]["providers"] == ["replicate", "builtin"]
    assert models["restoration/builtin-1"]["providers"] == ["builtin"]
    assert models["restoration/gfpgans-1.4"]["estimated_cost_usd"] == pytest.approx(0.002, rel=0.5)
    assert models["restoration/builtin-1"]["estimated_cost_usd"] == 0


async def test_a_picture_is_made_by_the_model_that_is_named_if_it_is_allowed(
    start: Start, double: ReplicateDouble
) -> None:
    body = {"prompt": "a lake", "width": 256, "height": 192}
    chosen = {"generation_models": "stability-ai/stable-diffusion", "huggingface_image_model": "own/choice"}
    async with start(**settings(double, **chosen)) as client:
        answers = [
            await client.http.post("/api/huggingface/text-to-image", json=body | {"model": model})
            for model in ("stability-ai/stable-diffusion", "own/choice", "black-forest-labs/flux-schnell")
        ]
    assert [answer.status_code for answer in answers] == [200, 200, 400]
    assert [answer.json().get("source") for answer in answers] == ["replicate", "mock", None]
    assert answers[2].json()["error"] == (
        "This model may not be used here. Allowed are: stability-ai/stable-diffusion, own/choice."
    )


async def test_a_picture_from_a_prompt_and_its_labelled_mock(start: Start, double: ReplicateDouble) -> None:
    body = {"prompt": "a lake at dawn", "width": 256, "height": 192, "seed": 7}
    async with start(**settings(double)) as client:
        made = (await client.http.post("/api/huggingface/text-to-image", json=body)).json()
        assert (made["success"], made["source"]) == (True, "replicate")
        assert photos.opened(base64.b64decode(made["image"].partition(",")[2])).size == (256, 192)
        assert double.inputs[0]["prompt"] == "a lake at dawn"
        double.fail(Fault(call="create", status=402, times=9))
        mocked = (await client.http.post("/api/huggingface/text-to-image", json=body)).json()
        assert mocked["source"] == "mock"
        assert photos.opened(base64.b64decode(mocked["image"].partition(",")[2])).size == (256, 192)
