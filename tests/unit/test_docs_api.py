"""The API's documentation: every endpoint is in it, and its examples are what the service says."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import re
import shlex
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, chdir
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from PIL import Image
from pydantic import BaseModel
from standardwebhooks import Webhook, WebhookVerificationError

from relume import errors
from relume.http import problems
from relume.http.app import create_app
from relume.http.contracts import enhance_answers, generate_answers, restore_url, v1
from relume.http.estimate import Estimate
from relume.http.health import DetailedHealth
from relume.http.metrics import Counts
from relume.http.operations import Health, Info
from relume.http.overview import Overview
from relume.jobs import models
from relume.picture_models import PICTURE_MODELS, OneOf
from relume.pipeline import TaskReport
from relume.ports import StepReport
from relume.settings import load_settings

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@asynccontextmanager
async def started(folder: Path, **changed: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a service at its defaults, but for its folder and what is changed."""
    with chdir(folder):
        app = create_app(load_settings(storage_dir=str(folder), **changed))
    transport = httpx.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client,
    ):
        yield client


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FastAPI:
    monkeypatch.chdir(tmp_path)
    return create_app(load_settings(storage_dir=str(tmp_path), provider="builtin"))


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client,
    ):
        yield client


def test_every_endpoint_is_documented(app: FastAPI) -> None:
    words = read("docs/api.md")
    endpoints = [(method.upper(), path) for path, item in app.openapi()["paths"].items() for method in item]
    assert len(endpoints) > 5
    missing = [f"{method} {path}" for method, path in endpoints if f"`{method} {path}`" not in words]
    assert missing == []


def test_statuses_of_creating_a_job_are_documented(app: FastAPI) -> None:
    """Each error a job-creating endpoint announces stands in the paragraph below its heading."""
    sections = {"/v1/restore": "### Restore a photo", "/restore": "## Contract A"}
    for path, heading in sections.items():
        paragraph = read("docs/api.md").partition(heading)[2].partition("\n#")[0]
        announced = app.openapi()["paths"][path]["post"]["responses"]
        assert [status for status in announced if status not in paragraph] == [], path
    announced = app.openapi()["paths"]["/enhance"]["post"]["responses"]
    assert [
        status for status in announced if status not in read("docs/enhance.md").partition("\n## ")[0]
    ] == []


def answers() -> list[tuple[str, str, Any]]:
    """The marked JSON examples of all pages: page, what they are an example of, and the example."""
    pattern = re.compile(r"<!-- answer: (\S+) -->\s*```json\n(.*?)```", re.DOTALL)
    return [
        (str(page.relative_to(ROOT)), what, json.loads(example))
        for page in PAGES
        for what, example in pattern.findall(page.read_text(encoding="utf-8"))
    ]


@pytest.mark.parametrize(("page", "what", "example"), answers())
def test_examples_have_the_shape_of_the_answers(page: str, what: str, example: Any) -> None:
    if what == "completed":
        expected: Any = restore_url._completed(finished_job(), "https://example.org/results/x.jpg")
        assert keys(example) == keys(expected)
    elif what.startswith("mobile."):
        assert what in MOBILE_ANSWERS
    elif what.startswith("generate."):
        answer: BaseModel = getattr(generate_answers, what.partition(".")[2]).model_validate(example)
        assert answer.model_dump(mode="json", exclude_none=True) == example
    elif what == "Problem":
        assert example == problems.body(errors.ImageDimensions(example["detail"]))
    else:
        shapes: dict[str, type[BaseModel]] = {
            "v1.Accepted": v1.Accepted,
            "v1.JobState": v1.JobState,
            "v1.Models": v1.Models,
            "restore_url.Accepted": restore_url.Accepted,
            "enhance.Accepted": enhance_answers.Accepted,
            "enhance.BatchState": enhance_answers.BatchState,
            "Health": Health,
            "Info": Info,
            "Estimate": Estimate,
            "Overview": Overview,
            "Counts": Counts,
            "DetailedHealth": DetailedHealth,
        }
        leaves_out = what == "enhance.BatchState"
        assert (
            shapes[what].model_validate(example).model_dump(mode="json", exclude_none=leaves_out) == example
        )


def keys(value: Any) -> Any:
    """The names in a JSON value, of lists those of the first item."""
    if isinstance(value, dict):
        return {name: keys(inner) for name, inner in value.items()}
    return [keys(value[0])] if isinstance(value, list) and value else None


def finished_job() -> models.Job:
    step = StepReport("denoise", changed=True, detail="", confidence=1.0)
    report = TaskReport("restore_faces", "builtin", "Relume built-in", "1", True, 1.0, 0.0, (step,))
    return models.Job(
        id=uuid4(),
        contract="restore_url",
        model_id="restoration/gfpgan-real-esrgan",
        strength=1.0,
        scale=4,
        lane="local",
        report=json.loads(json.dumps([asdict(report)])),
    )


async def test_the_list_of_models_is_the_documented_one(client: httpx.AsyncClient) -> None:
    (documented,) = [example for _, what, example in answers() if what == "v1.Models"]
    assert (await client.get("/v1/models")).json() == documented


async def test_the_information_of_a_service_without_settings_is_the_documented_one(tmp_path: Path) -> None:
    (documented,) = [example for _, what, example in answers() if what == "Info"]
    async with started(tmp_path) as client:
        assert (await client.get("/info")).json() == documented


MOCK_MODE: dict[str, Any] = {
    "provider": "mock",
    "replicate_api_token": "mock_token_for_demo",
    "replicate_mock_delay_min": 0,
    "replicate_mock_delay_max": 0,
    "replicate_mock_failure_rate": 0,
}

MOBILE_ANSWERS = {
    "mobile.image": ("/api/ai/fix-old-photo", "image"),
    "mobile.text": ("/api/huggingface/text-generation", "prompt"),
    "mobile.failure": ("/api/huggingface/text-generation", "prompt"),
}
"""Contract B's examples, each with the request that is answered so."""


@pytest.mark.parametrize("what", MOBILE_ANSWERS)
async def test_answers_of_contract_b_are_the_documented_ones(tmp_path: Path, what: str) -> None:
    (documented,) = [example for _, name, example in answers() if name == what]
    path, field = MOBILE_ANSWERS[what]
    changed = MOCK_MODE if what == "mobile.text" else {}
    async with started(tmp_path, **changed) as client:
        value = base64.b64encode(photo()).decode() if field == "image" else "Name three ways."
        told = (await client.post(path, json={field: value})).json()
    assert list(told) == list(documented)
    assert (told["success"], told.get("message")) == (documented["success"], documented.get("message"))
    if what == "mobile.image":
        assert (told["source"], told["image"][:22]) == (documented["source"], documented["image"][:22])
    assert told.get("error") == documented.get("error")


def test_the_python_example_of_a_generation_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = read("docs/generate.md")
    code = page.partition("<!-- run: generate -->")[2].split("```")[1].removeprefix("python\n")
    names: dict[str, Any] = {}
    exec(code, names)
    monkeypatch.setattr(names["time"], "sleep", lambda _seconds: None)
    settings = load_settings(storage_dir=str(tmp_path), **MOCK_MODE)
    with TestClient(create_app(settings), base_url="http://127.0.0.1:8000") as client:
        drawn = names["draw"](client, "A lighthouse at dusk", aspect_ratio="16:9")
        with Image.open(io.BytesIO(drawn)) as picture:
            assert (picture.format, picture.size) == ("PNG", (1360, 768))


def test_the_parameters_of_each_model_are_documented() -> None:
    page = read("docs/generate.md").partition("| parameter |")[2].partition("\n\n")[0]
    for model in PICTURE_MODELS.values():
        assert f"`{model.address}`" in page
        for name, rule in model.options.items():
            assert f"`{name}`" in page
            choices = rule.choices if isinstance(rule, OneOf) else ()
            assert [choice for choice in choices if str(choice).lower() not in page.lower()] == []


def first_request() -> list[tuple[list[str], Any]]:
    """The curl commands of the README's first request, in order, each with the answer it promises."""
    section = read("README.md").partition("## The first request")[2].partition("\n## ")[0]
    blocks = re.findall(r"```sh\n(curl .+?)\n```(?:\s*```json\n(.*?)```)?", section, re.DOTALL)
    return [(shlex.split(command), json.loads(answer) if answer else None) for command, answer in blocks]


async def test_the_first_request_of_the_readme_works(client: httpx.AsyncClient) -> None:
    """Its commands, run in order against the service; only the job's id is another."""
    (send, accepted), (ask, state), (fetch, _) = first_request()
    fields = dict(field.split("=", 1) for flag, field in pairwise(send) if flag == "-F")
    assert fields.pop("image") == "@photo.jpg"

    sent = await client.post(send[-1], data=fields, files={"image": ("photo.jpg", photo(), "image/jpeg")})
    job_id = sent.json()["job_id"]
    assert sent.json() == accepted | {"job_id": job_id}

    documented_id = accepted["job_id"]
    for _ in range(300):
        asked = await client.get(ask[-1].replace(documented_id, job_id))
        if asked.json()["status"] in ("succeeded", "failed"):
            break
        await asyncio.sleep(0.1)
    assert asked.json() == json.loads(json.dumps(state).replace(documented_id, job_id))

    events = await client.get(f"/v1/jobs/{job_id}/events")
    assert keys(event_data(events.text)[-1]) == keys(event_data(read("docs/api.md"))[-1])

    fetched = await client.get(fetch[-1].replace(documented_id, job_id))
    with Image.open(io.BytesIO(fetched.content)) as result:
        assert (result.format, result.size) == ("JPEG", (128, 96))


def event_data(text: str) -> list[Any]:
    return [json.loads(data) for data in re.findall(r"^data: (.+)$", text, re.MULTILINE)]


def photo() -> bytes:
    file = io.BytesIO()
    Image.effect_noise((64, 48), 30).convert("RGB").save(file, "JPEG")
    return file.getvalue()


def test_the_verification_of_webhooks_works_as_documented() -> None:
    code = read("docs/api.md").partition("<!-- run: webhook -->")[2].split("```")[1].removeprefix("python\n")
    names: dict[str, Any] = {}
    exec(code, names)
    secret, body, now = "whsec_" + "c2VjcmV0" * 4, '{"type":"job.succeeded"}', datetime.now(UTC)
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign("msg_1", now, body),
    }
    assert names["receive"](body.encode(), headers, secret) == {"type": "job.succeeded"}
    with pytest.raises(WebhookVerificationError):
        names["receive"](b'{"type":"job.failed"}', headers, secret)
