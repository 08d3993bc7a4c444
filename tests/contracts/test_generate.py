"""Contract E's generation, row by row, over Replicate's double and in mock mode."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from relume.errors import ProviderUnavailable
from relume.jobs.metadata import keep_metadata
from relume.jobs.models import JobStatus
from relume.picture_models import FLUX_SCHNELL, PICTURE_MODELS, STABLE_DIFFUSION
from relume.providers import chain
from tests import photos
from tests.contracts.conftest import Client, Start, problem
from tests.doubles.replicate import ReplicateDouble
from tests.doubles.script import Fault, Plan
from tests.patience import PATIENCE

TOKEN = "r8_test_token"
MOCK: dict[str, Any] = {
    "replicate_api_token": "mock_token_for_demo",
    "replicate_mock_delay_min": 0,
    "replicate_mock_delay_max": 0,
    "replicate_mock_failure_rate": 0,
}
ENDED = ("completed", "failed", "cancelled")


@pytest.fixture
def double() -> Iterator[ReplicateDouble]:
    with ReplicateDouble() as double:
        yield double


@pytest.fixture(autouse=True)
def _quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain, "_FIRST_WAIT_SECONDS", 0.01)


@pytest.fixture
async def hosted(start: Start, double: ReplicateDouble) -> AsyncIterator[Client]:
    async with start(replicate_api_token=TOKEN, replicate_base_url=double.url) as client:
        yield client


@pytest.fixture
async def mock(start: Start) -> AsyncIterator[Client]:
    async with start(**MOCK) as client:
        yield client


async def created(client: Client, prompt: str = "a lake", **body: Any) -> dict[str, Any]:
    response = await client.http.post("/api/v1/generate", json={"prompt": prompt} | body)
    assert response.status_code == 201, response.text
    told: dict[str, Any] = response.json()
    return told


async def state_of(client: Client, job_id: str) -> dict[str, Any]:
    response = await client.http.get(f"/api/v1/status/{job_id}")
    assert response.status_code == 200, response.text
    told: dict[str, Any] = response.json()
    return told


async def until(client: Client, job_id: str, *words: str) -> dict[str, Any]:
    async with asyncio.timeout(PATIENCE):
        while (state := await state_of(client, job_id))["status"] not in words:
            assert state["status"] not in ENDED, state
            await asyncio.sleep(0.02)
    return state


async def finished(client: Client, **body: Any) -> dict[str, Any]:
    """A job that has completed and whose files lie where they belong."""
    job_id = (await created(client, **body))["id"]
    state = await until(client, job_id, "completed")
    async with asyncio.timeout(PATIENCE):
        while (await client.services.jobs.get(UUID(job_id))).staged_key is not None:
            await asyncio.sleep(0.02)
    return state


async def metadata_of(client: Client, job_id: str) -> dict[str, Any]:
    response = await client.http.get(f"/api/v1/jobs/{job_id}/metadata")
    assert response.status_code == 200, response.text
    told: dict[str, Any] = response.json()
    return told


# POST /api/v1/generate and GET /api/v1/status


@pytest.mark.parametrize("written", [json.dumps, dict], ids=["a string", "an object"])
async def test_a_prompt_becomes_a_picture(
    hosted: Client, double: ReplicateDouble, written: Callable[[Any], Any]
) -> None:
    parameters = {"width": 1024, "height": 1024, "num_outputs": 1, "num_inference_steps": 2, "seed": 7}
    body = {"prompt": " a lake ", "model_name": FLUX_SCHNELL, "parameters": written(parameters)}
    response = await hosted.http.post("/api/v1/generate", json=body)
    assert response.status_code == 201
    told = response.json()
    assert set(told) == {"id", "prompt", "model_name", "status", "created_at", "retry_count"}
    assert (told["prompt"], told["model_name"]) == ("a lake", FLUX_SCHNELL)
    assert (told["status"], told["retry_count"]) == ("pending", 0)
    assert told["created_at"].endswith("Z")
    assert response.headers["location"] == f"/api/v1/status/{told['id']}"

    state = await until(hosted, told["id"], "completed")
    picture = await hosted.http.get(state["result_url"])
    assert state["result_url"].endswith(f"/media/{told['id']}.png")
    assert (picture.headers["content-type"], len(picture.content)) == ("image/png", state["file_size"])
    assert photos.opened(picture.content).format == "PNG"
    assert (state["source"], state["retry_count"], state.get("error_message")) == ("replicate", 0, None)
    times = [datetime.fromisoformat(state[name]) for name in ("created_at", "started_at", "completed_at")]
    assert times == sorted(times)
    assert double.inputs == [
        {
            "prompt": "a lake",
            "aspect_ratio": "1:1",
            "megapixels": "1",
            "num_outputs": 1,
            "num_inference_steps": 2,
            "seed": 7,
            "output_format": "png",
        }
    ]


async def test_every_parameter_reaches_the_model(hosted: Client, double: ReplicateDouble) -> None:
    parameters = {
        "width": 512,
        "height": 768,
        "negative_prompt": "people",
        "num_outputs": 1,
        "num_inference_steps": 30,
        "guidance_scale": 7.5,
        "scheduler": "K_EULER",
        "seed": 0,
    }
    await finished(hosted, model_name=STABLE_DIFFUSION, parameters=parameters)
    assert double.inputs == [{"prompt": "a lake"} | parameters]
    (call,) = [one for one in double.received if one.method == "POST" and one.path == "/v1/predictions"]
    assert call.authorization == f"Bearer {TOKEN}"


@pytest.mark.parametrize(
    ("model", "parameters", "sent"),
    [
        (FLUX_SCHNELL, {}, {"aspect_ratio": "1:1", "megapixels": "1"}),
        (FLUX_SCHNELL, None, {"aspect_ratio": "1:1", "megapixels": "1"}),
        (FLUX_SCHNELL, {"width": 800, "height": 450}, {"aspect_ratio": "16:9", "megapixels": "0.25"}),
        (FLUX_SCHNELL, {"megapixels": "0.25"}, {"aspect_ratio": "1:1", "megapixels": "0.25"}),
        (FLUX_SCHNELL, {"go_fast": False}, {"go_fast": False}),
        (STABLE_DIFFUSION, {}, {"width": 768, "height": 768}),
        (STABLE_DIFFUSION, {"width": 640, "seed": None}, {"width": 640, "height": 768}),
        *(
            (FLUX_SCHNELL, {"aspect_ratio": ratio}, {"aspect_ratio": ratio, "megapixels": "1"})
            for ratio in PICTURE_MODELS[FLUX_SCHNELL].options["aspect_ratio"].choices  # type: ignore[union-attr]
        ),
        *(
            (FLUX_SCHNELL, {"aspect_ratio": ratio, "megapixels": "0.25"}, {"aspect_ratio": ratio})
            for ratio in ("21:9", "9:21", "4:5")
        ),
    ],
)
async def test_sizes_are_told_in_the_words_of_the_model(
    hosted: Client, double: ReplicateDouble, model: str, parameters: Any, sent: dict[str, Any]
) -> None:
    await finished(hosted, model_name=model, parameters=parameters)
    assert {name: double.inputs[0].get(name) for name in sent} == sent
    assert "seed" not in double.inputs[0]


@pytest.mark.parametrize("output_format", ["webp", "jpg", "png"])
async def test_the_result_is_a_png_whatever_the_model_gives(
    hosted: Client, double: ReplicateDouble, output_format: str
) -> None:
    state = await finished(hosted, parameters={"output_format": output_format})
    assert double.inputs[0]["output_format"] == output_format
    (made,) = [name for name in double.state.files if name.endswith(output_format)]
    assert photos.opened(double.state.files[made][0]).format == {"jpg": "JPEG"}.get(
        output_format, output_format.upper()
    )
    picture = (await hosted.http.get(state["result_url"])).content
    assert photos.opened(picture).format == "PNG"
    assert state["file_size"] == len(picture)


BAD: list[tuple[str, Any, str, str]] = [
    ("no prompt", {}, "invalid_parameter", "prompt is missing."),
    ("an empty prompt", {"prompt": " \n"}, "invalid_parameter", "prompt must be a text of 1 to 4000"),
    ("a long prompt", {"prompt": "x" * 4001}, "invalid_parameter", "prompt must be a text of 1 to 4000"),
    ("a number", {"prompt": 5}, "invalid_parameter", "prompt must be a text of 1 to 4000"),
    ("NUL", {"prompt": "a\0b"}, "invalid_parameter", "prompt must be a text of 1 to 4000"),
    ("half a letter", {"prompt": "\ud83d"}, "invalid_parameter", "prompt must be a text of 1 to 4000"),
    ("another field", {"prompt": "x", "size": 3}, "invalid_parameter", "'size' is no field"),
    ("a strange field", {"prompt": "x", "\ud83d": 3}, "invalid_parameter", "The body must be an object with"),
    ("no model", {"prompt": "x", "model_name": "flux"}, "invalid_parameter", "model_name must look like"),
    ("null", {"prompt": "x", "model_name": None}, "invalid_parameter", "model_name must be a text."),
    ("a URL", {"prompt": "x", "model_name": "http://a/b"}, "invalid_parameter", "model_name must look like"),
    ("another model", {"prompt": "x", "model_name": "a/b"}, "unknown_model", "may not be used here"),
    (
        "another version",
        {"prompt": "x", "model_name": f"{STABLE_DIFFUSION}:{'b' * 64}"},
        "unknown_model",
        "Allowed are: black-forest-labs/flux-schnell, stability-ai/stable-diffusion.",
    ),
    ("no JSON", {"prompt": "x", "parameters": "{"}, "invalid_parameter", "parameters must be a JSON object"),
    ("a list", {"prompt": "x", "parameters": "[1]"}, "invalid_parameter", "parameters must be a JSON object"),
    ("a number", {"prompt": "x", "parameters": 4}, "invalid_parameter", "parameters must be a JSON object"),
    (
        "deep",
        {"prompt": "x", "parameters": "[" * 30_000},
        "invalid_parameter",
        "parameters must be a JSON object",
    ),
]
BAD += [
    (
        f"{model} {parameters}",
        {"prompt": "x", "model_name": model, "parameters": parameters},
        "invalid_parameter",
        sentence,
    )
    for model, parameters, sentence in [
        (FLUX_SCHNELL, {"num_outputs": 2}, "num_outputs must be 1 for"),
        (FLUX_SCHNELL, {"num_outputs": 2}, "Each job makes one picture."),
        (FLUX_SCHNELL, {"width": 4096}, "width must be a whole number from 64 to 2048"),
        (FLUX_SCHNELL, {"width": "1024"}, "width must be a whole number from 64 to 2048"),
        (FLUX_SCHNELL, {"height": 1.5}, "height must be a whole number from 64 to 2048"),
        (FLUX_SCHNELL, {"num_inference_steps": 50}, "num_inference_steps must be a whole number from 1 to 4"),
        (FLUX_SCHNELL, {"guidance_scale": 7}, "takes no parameter 'guidance_scale'; it takes width, height"),
        (FLUX_SCHNELL, {"aspect_ratio": "1:9"}, "aspect_ratio must be 1:1, 16:9"),
        (FLUX_SCHNELL, {"aspect_ratio": "1:1", "width": 512}, "Give either width and height"),
        (FLUX_SCHNELL, {"seed": 2**32}, "seed must be a whole number from 0 to 4294967295"),
        (FLUX_SCHNELL, {"output_format": "gif"}, "output_format must be png, webp or jpg"),
        (FLUX_SCHNELL, {"exact_model": False}, "takes no parameter 'exact_model'"),
        (FLUX_SCHNELL, {"\ud83d": 1}, "takes no parameter 'this'"),
        (STABLE_DIFFUSION, {"width": 1000}, "width must be a multiple of 64 from 64 to 1024"),
        (STABLE_DIFFUSION, {"scheduler": "x"}, "scheduler must be DDIM, K_EULER"),
        (STABLE_DIFFUSION, {"guidance_scale": 0}, "guidance_scale must be a number from 1 to 20"),
        (STABLE_DIFFUSION, {"aspect_ratio": "1:1"}, "takes no parameter 'aspect_ratio'"),
    ]
]


@pytest.mark.parametrize(("body", "code", "sentence"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
async def test_bad_input_is_422_with_a_sentence(mock: Client, body: Any, code: str, sentence: str) -> None:
    response = await mock.http.post(
        "/api/v1/generate", content=json.dumps(body), headers={"content-type": "application/json"}
    )
    assert sentence in problem(response, 422, code)
    assert (await mock.http.get("/api/v1/jobs")).json()["total"] == 0


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"[" * 60_000, b"x" * 100_000])
async def test_what_is_no_json_object_is_422(mock: Client, content: bytes) -> None:
    problem(await mock.http.post("/api/v1/generate", content=content), 422, "invalid_input")


async def test_a_model_that_the_operator_allows_gets_what_is_named(
    start: Start, double: ReplicateDouble
) -> None:
    painter = f"someone/painter:{'a' * 64}"
    settings = {"replicate_api_token": TOKEN, "replicate_base_url": double.url}
    async with start(**settings, generation_models=f"{FLUX_SCHNELL},{painter}") as client:
        await finished(client, model_name=painter, parameters={"scheduler": "Euler", "height": 512})
        assert double.inputs == [{"prompt": "a lake", "width": 1024, "height": 512, "scheduler": "Euler"}]
        refused = {"prompt": "x", "model_name": "someone/painter"}
        problem(await client.http.post("/api/v1/generate", json=refused), 422, "unknown_model")
    async with start(**settings, generation_models="*") as client:
        problem(
            await client.http.post("/api/v1/generate", json=refused | {"parameters": {"prompt_strength": 1}}),
            422,
            "invalid_parameter",
        )


async def test_only_who_has_the_model_may_draw(start: Start) -> None:
    """No mock outside mock mode, and no other model of the same name."""
    body = {"prompt": "x"}
    async with start() as client:
        problem(await client.http.post("/api/v1/generate", json=body), 503, "no_provider")
        plain = await client.http.post("/api/huggingface/text-to-image", json=body)
        assert plain.json()["source"] == "mock"
    async with start(huggingface_base_url="http://127.0.0.1:9") as client:
        problem(await client.http.post("/api/v1/generate", json=body), 503, "no_provider")
    async with start(provider="mock") as client:
        assert (await finished(client))["source"] == "mock"


async def test_a_failed_provider_is_followed_by_no_mock(hosted: Client, double: ReplicateDouble) -> None:
    double.plan(Plan(ends="failed"))
    state = await until(hosted, (await created(hosted))["id"], "failed")
    assert "Replicate could not process this." in state["error_message"]
    assert "result_url" not in state
    assert "CUDA" not in json.dumps(state)


async def test_what_can_pass_is_tried_again_and_counted(hosted: Client, double: ReplicateDouble) -> None:
    double.fail(Fault(call="create", status=503, times=2))
    state = await finished(hosted)
    assert (state["retry_count"], double.counts["create"], len(double.inputs)) == (2, 3, 1)
    attempts = (await metadata_of(hosted, state["id"]))["attempts"]
    assert [one["error_class"] for one in attempts] == ["ProviderUnavailable"] * 2 + [None]
    assert {one["provider"] for one in attempts} == {"replicate"}
    starts = [datetime.fromisoformat(one["started_at"]) for one in attempts]
    assert starts == sorted(starts)


# The jobs


async def test_jobs_are_paged_newest_first(mock: Client) -> None:
    ids = [(await finished(mock, prompt=f"number {number}"))["id"] for number in range(3)]
    whole = (await mock.http.get("/api/v1/jobs")).json()
    assert [job["id"] for job in whole["jobs"]] == ids[::-1]
    assert (whole["total"], whole["limit"], whole["offset"]) == (3, 20, 0)
    assert (await state_of(mock, ids[-1])).items() <= whole["jobs"][0].items()
    second = (await mock.http.get("/api/v1/jobs", params={"limit": 1, "offset": 1})).json()
    assert ([job["prompt"] for job in second["jobs"]], second["total"]) == (["number 1"], 3)
    assert (await mock.http.get("/api/v1/jobs", params={"offset": 9})).json()["jobs"] == []
    for word, number in {"completed": 3, "failed": 0, "pending": 0, "processing": 0, "cancelled": 0}.items():
        answer = (await mock.http.get("/api/v1/jobs", params={"status_filter": word})).json()
        assert (answer["total"], len(answer["jobs"])) == (number, number)


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=101", "limit=x", "offset=-1", "offset=99999999999", "status_filter=done"]
)
async def test_a_bad_page_is_422(client: Client, query: str) -> None:
    detail = problem(await client.http.get(f"/api/v1/jobs?{query}"), 422, "invalid_parameter")
    assert query.partition("=")[0] in detail


async def test_a_restoration_is_a_job_like_any_other(client: Client) -> None:
    accepted = await client.restore(photos.encoded("JPEG"))
    job_id = accepted.json()["job_id"]
    await client.ended(job_id)
    (job,) = (await client.http.get("/api/v1/jobs")).json()["jobs"]
    assert (job["id"], job["status"], job["source"]) == (job_id, "completed", "builtin")
    assert job["model_name"] == "restoration/gfpgans-1.4"
    assert "prompt" not in job
    assert job["result_url"].endswith(f"/results/{job_id}.jpg")
    problem(await client.http.get(f"/media/{job_id}.jpg"), 404, "not_found")
    download = await client.http.get(f"/api/v1/download/{job_id}")
    assert download.headers["content-disposition"] == f'attachment; filename="{job_id}.jpg"'
    told = await metadata_of(client, job_id)
    assert (told["width"], told["provider"], told["id"]) == (64, "builtin", job_id)
    assert (await client.http.get(f"/v1/jobs/{job_id}")).json()["status"] == "succeeded"


@pytest.mark.parametrize(
    "word", ["nothing", "9b2f3c1e-5a44-4f0e-8f63-2f1c9f0f7a11", "..%2f..%2fetc%2fpasswd", "%00"]
)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/status/{}"),
        ("GET", "/api/v1/jobs/{}/metadata"),
        ("DELETE", "/api/v1/jobs/{}"),
        ("GET", "/api/v1/download/{}"),
        ("GET", "/media/{}.png"),
    ],
)
async def test_an_unknown_job_is_404(client: Client, method: str, path: str, word: str) -> None:
    problem(await client.http.request(method, path.format(word)), 404, "not_found")


# Metadata, files and their time


async def test_the_metadata_tell_how_a_picture_was_made(hosted: Client, tmp_path: Path) -> None:
    parameters = {"width": 512, "height": 768, "guidance_scale": 7.5, "scheduler": "DDIM", "seed": 3}
    parameters |= {"num_inference_steps": 20, "num_outputs": 1}
    state = await finished(hosted, model_name=STABLE_DIFFUSION, parameters=parameters)
    told = await metadata_of(hosted, state["id"])
    assert {name: told[name] for name in parameters} == parameters
    assert (told["prompt"], told["model_name"], told["file_size"]) == (
        "a lake",
        STABLE_DIFFUSION,
        state["file_size"],
    )
    assert (told["provider"], told["source"], told["model"]) == ("replicate", "replicate", "Stable Diffusion")
    assert told["version"] == str(PICTURE_MODELS[STABLE_DIFFUSION].version)[:12]
    assert told["cost_usd"] > 0
    assert told["external_job_id"] == told["attempts"][0]["external_job_id"]
    assert {name: told[name] for name in ("created_at", "started_at", "completed_at")} == {
        name: state[name] for name in ("created_at", "started_at", "completed_at")
    }
    folder = tmp_path / "data"
    assert json.loads((folder / "metadata" / f"{state['id']}.json").read_text(encoding="utf-8")) == told
    picture = (folder / "media" / f"{state['id']}.png").read_bytes()
    assert len(picture) == state["file_size"]
    assert [path.name for path in (folder / "metadata").iterdir()] == [f"{state['id']}.json"]


async def test_the_metadata_of_a_job_that_goes_on_come_from_its_row(
    hosted: Client, double: ReplicateDouble
) -> None:
    double.plan(Plan(ends="never"))
    job_id = (await created(hosted, parameters={"seed": 5}))["id"]
    told = await metadata_of(hosted, job_id)
    assert (told["seed"], told["prompt"], told["width"]) == (5, "a lake", 1024)
    assert "provider" not in told
    assert "completed_at" not in told
    problem(await hosted.http.get(f"/api/v1/download/{job_id}"), 409, "conflict")
    problem(await hosted.http.get(f"/media/{job_id}.png"), 404, "not_found")
    await hosted.http.delete(f"/api/v1/jobs/{job_id}")
    await until(hosted, job_id, "cancelled")


async def test_metadata_are_written_once_and_their_loss_on_the_way_is_repaired(
    mock: Client, tmp_path: Path
) -> None:
    """As after a process that died between the job's end and the move of its picture."""
    state = await finished(mock)
    services, job_id = mock.services, UUID(state["id"])
    file = tmp_path / "data" / "metadata" / f"{job_id}.json"
    before = file.read_bytes()
    job = await services.jobs.get(job_id)
    await keep_metadata(job_id, services.store, services.jobs.repository)
    assert file.read_bytes() == before

    file.unlink()
    staged = f"media/staging/{job_id}.{uuid4()}.png"
    await services.store.move(str(job.result_key), staged)
    async with services.database.transaction() as session:
        row = await session.get(type(job), job_id)
        assert row is not None
        row.staged_key = staged
    assert (await mock.http.get(state["result_url"])).status_code == 200
    assert (await metadata_of(mock, state["id"]))["prompt"] == "a lake"
    await services.janitor.sweep()
    assert file.read_bytes() == before
    assert (tmp_path / "data" / "media" / f"{job_id}.png").exists()
    assert (await services.jobs.get(job_id)).staged_key is None


async def test_media_expire_and_their_metadata_stay(start: Start, tmp_path: Path) -> None:
    async with start(**MOCK, media_ttl_minutes=0.0001, result_ttl_minutes=60) as client:
        state = await finished(client)
        async with asyncio.timeout(PATIENCE):
            while (await client.services.jobs.get(UUID(state["id"]))).files_deleted_at is None:
                await client.services.janitor.sweep()
                await asyncio.sleep(0.02)
        problem(await client.http.get(f"/api/v1/download/{state['id']}"), 410, "expired")
        problem(await client.http.get(f"/media/{state['id']}.png"), 410, "expired")
        assert (await metadata_of(client, state["id"]))["prompt"] == "a lake"
        assert (await state_of(client, state["id"]))["status"] == "completed"
        assert list((tmp_path / "data" / "media").glob("*.png")) == []


async def test_metadata_expire_by_themselves(start: Start) -> None:
    async with start(**MOCK, metadata_ttl_minutes=0.0001) as client:
        state = await finished(client)
        async with asyncio.timeout(PATIENCE):
            while (
                answer := await client.http.get(f"/api/v1/jobs/{state['id']}/metadata")
            ).status_code == 200:
                await client.services.janitor.sweep()
                await asyncio.sleep(0.02)
        problem(answer, 410, "expired")
        assert (await client.http.get(state["result_url"])).status_code == 200


async def test_a_download_is_an_attachment(mock: Client) -> None:
    state = await finished(mock)
    answer = await mock.http.get(f"/api/v1/download/{state['id']}")
    assert answer.headers["content-disposition"] == f'attachment; filename="{state["id"]}.png"'
    assert (answer.headers["content-type"], len(answer.content)) == ("image/png", state["file_size"])
    shown = await mock.http.get(state["result_url"])
    assert "content-disposition" not in shown.headers
    assert shown.content == answer.content
    head = await mock.http.head(state["result_url"])
    assert (head.status_code, head.headers["content-length"]) == (200, str(state["file_size"]))
    known = {"If-None-Match": shown.headers["etag"]}
    assert (await mock.http.get(state["result_url"], headers=known)).status_code == 304
    problem(await mock.http.get(f"/media/{state['id']}.jpg"), 404, "not_found")


# Cancelling


async def test_cancelling_stops_the_run_at_the_provider(hosted: Client, double: ReplicateDouble) -> None:
    double.plan(Plan(ends="never"))
    job_id = (await created(hosted))["id"]
    async with asyncio.timeout(PATIENCE):
        while double.counts["get"] < 2:
            await asyncio.sleep(0.02)
    answer = await hosted.http.delete(f"/api/v1/jobs/{job_id}")
    assert (answer.status_code, answer.json()["id"]) == (200, job_id)
    state = await until(hosted, job_id, "cancelled")
    assert (double.statuses, double.counts["create"], double.counts["cancel"]) == (["canceled"], 1, 1)
    assert state["error_message"] == "The job was cancelled."
    problem(await hosted.http.delete(f"/api/v1/jobs/{job_id}"), 409, "conflict")
    problem(await hosted.http.get(f"/api/v1/download/{job_id}"), 409, "conflict")
    assert (await hosted.http.get("/api/v1/jobs?status_filter=cancelled")).json()["total"] == 1


async def test_a_job_that_has_ended_cannot_be_cancelled(mock: Client) -> None:
    state = await finished(mock)
    problem(await mock.http.delete(f"/api/v1/jobs/{state['id']}"), 409, "conflict")
    assert (await state_of(mock, state["id"]))["status"] == "completed"


# Mock mode


async def test_mock_mode_draws_and_says_so(mock: Client) -> None:
    one = await finished(mock, parameters={"width": 320, "height": 200})
    assert one["source"] == "mock"
    picture = photos.opened((await mock.http.get(one["result_url"])).content)
    assert (picture.format, picture.size) == ("PNG", (320, 200))
    told = await metadata_of(mock, one["id"])
    assert (told["source"], told["model"], told["cost_usd"]) == ("mock", "Mock", 0)
    other = await finished(mock, prompt="something else", parameters={"width": 320, "height": 200})
    another = photos.opened((await mock.http.get(other["result_url"])).content)
    assert picture.convert("RGB").getpixel((0, 0)) != another.convert("RGB").getpixel((0, 0))


async def test_mock_mode_fails_as_often_as_it_is_told(start: Start) -> None:
    async with start(**MOCK | {"replicate_mock_failure_rate": 1.0, "max_retry_attempts": 3}) as client:
        job_id = (await created(client))["id"]
        state = await until(client, job_id, "failed")
        assert state["retry_count"] == 2
        assert "mock" in state["error_message"].lower()
        attempts = await client.services.jobs.repository.attempts(UUID(job_id))
        assert [one.error_class for one in attempts] == [ProviderUnavailable.__name__] * 3
        assert (await metadata_of(client, job_id))["error_code"] == "all_providers_failed"
        problem(await client.http.get(f"/api/v1/download/{job_id}"), 409, "conflict")


async def test_mock_mode_takes_its_time(start: Start) -> None:
    delays = {"replicate_mock_delay_min": 0.3, "replicate_mock_delay_max": 0.4}
    async with start(**MOCK | delays) as client:
        state = await finished(client)
        took = datetime.fromisoformat(state["completed_at"]) - datetime.fromisoformat(state["started_at"])
        assert took.total_seconds() >= 0.3


# What holds for all job-creating endpoints


async def test_the_same_key_and_request_is_the_same_job(mock: Client) -> None:
    async def sent(prompt: str, parameters: Any) -> Any:
        body = {"prompt": prompt, "parameters": parameters}
        return await mock.http.post("/api/v1/generate", json=body, headers={"Idempotency-Key": "k"})

    first = (await sent("a lake", {"seed": 1})).json()
    await until(mock, first["id"], "completed")
    again = await sent("a lake", '{"seed": 1}')
    assert (again.status_code, again.json()["id"]) == (201, first["id"])
    problem(await sent("a lake", {"seed": 2}), 400, "idempotency_mismatch")
    assert (await mock.http.get("/api/v1/jobs")).json()["total"] == 1


async def test_rate_limit_and_key(start: Start) -> None:
    async with start(**MOCK, api_key="k3y", rate_limit_per_min=1) as client:
        body, key = {"prompt": "x"}, {"X-API-KEY": "k3y"}
        problem(await client.http.post("/api/v1/generate", json=body), 401, "key_missing")
        problem(await client.http.get("/api/v1/jobs"), 401, "key_missing")
        problem(await client.http.get("/api/v1/jobs", headers={"X-API-KEY": "no"}), 403, "key_wrong")
        job_id = (await client.http.post("/api/v1/generate", json=body, headers=key)).json()["id"]
        limited = await client.http.post("/api/v1/generate", json=body, headers=key)
        problem(limited, 429, "rate_limited")
        assert int(limited.headers["retry-after"]) > 0
        client.http.headers.update(key)
        state = await until(client, job_id, "completed")
        del client.http.headers["X-API-KEY"]
        assert (await client.http.get(state["result_url"])).status_code == 200
        problem(await client.http.get(f"/api/v1/download/{job_id}"), 401, "key_missing")


async def test_restoration_may_be_off_while_pictures_are_made(start: Start) -> None:
    async with start(**MOCK, restore_enabled=False, cors_origins="https://app.example") as client:
        assert (await finished(client))["status"] == "completed"
        asked = {"Origin": "https://app.example", "Access-Control-Request-Method": "DELETE"}
        allowed = await client.http.options("/api/v1/jobs/x", headers=asked)
        assert allowed.headers["access-control-allow-origin"] == "https://app.example"


async def test_addresses_begin_with_the_operators_prefix(start: Start) -> None:
    async with start(**MOCK, result_base_url="https://media.example") as client:
        state = await finished(client)
        assert state["result_url"] == f"https://media.example/media/{state['id']}.png"
        job = await client.services.jobs.get(UUID(state["id"]))
        assert job.status is JobStatus.SUCCEEDED


async def test_a_client_lists_the_jobs_of_its_own_key_and_an_operator_all(start: Start) -> None:
    async with start(**MOCK) as client:
        given = [
            await client.services.keys.create(name, is_operator=name == "boss") for name in ("a", "b", "boss")
        ]
        for key in given[:2]:
            headers = {"X-API-KEY": key}
            answer = await client.http.post("/api/v1/generate", json={"prompt": key[-4:]}, headers=headers)
            assert answer.status_code == 201, answer.text
        pages = [(await client.http.get("/api/v1/jobs", headers={"X-API-KEY": key})).json() for key in given]
    assert [page["total"] for page in pages] == [1, 1, 2]
    assert [page["jobs"][0]["prompt"] for page in pages[:2]] == [key[-4:] for key in given[:2]]
