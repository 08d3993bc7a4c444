"""`/openapi.json` describes every operation: what it is for, an example of each body, and how it can fail."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from jsonschema import Draft202012Validator

from relume.http.app import create_app
from relume.http.contracts.generate_request import read_request, task_parameters
from relume.settings import load_settings

FILES = ("application/octet-stream", "application/zip", "text/plain")
CONTRACT_B = ("/api/ai/", "/api/huggingface/")
OPEN = ("/health", "/results/", "/media/", "/processed/", "/enhance/{job_id}/zip")
"""Beginnings of the paths that need no key."""
READING = ("/results/zip",)
"""POSTs that make no job, so that no rate limit counts them."""


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    return create_app(load_settings(storage_dir=str(tmp_path_factory.mktemp("data"))))


def operations(app: FastAPI) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method.upper(), path, operation)
        for path, item in app.openapi()["paths"].items()
        for method, operation in item.items()
    ]


def is_file(media_type: str) -> bool:
    return media_type.startswith("image/") or media_type in FILES


def bodies(operation: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Media types and descriptions of the request's body and of the successful answers."""
    found = list(operation.get("requestBody", {}).get("content", {}).items())
    for status, answer in operation["responses"].items():
        if status.startswith("2"):
            found += answer.get("content", {}).items()
    return [(kind, body) for kind, body in found if not is_file(kind)]


def examples_of(body: dict[str, Any]) -> list[Any]:
    return [example["value"] for example in body.get("examples", {}).values()]


def test_every_operation_has_a_summary_and_examples(app: FastAPI) -> None:
    without = [
        f"{method} {path}"
        for method, path, operation in operations(app)
        if not operation.get("summary") or not all(examples_of(body) for _, body in bodies(operation))
    ]
    assert without == []


def test_examples_have_the_shape_that_is_announced(app: FastAPI) -> None:
    components = app.openapi()["components"]
    for method, path, operation in operations(app):
        for kind, body in bodies(operation):
            schema = body.get("schema", {}) | {"components": components}
            if kind == "text/event-stream":
                continue
            for example in examples_of(body):
                faults = [error.message for error in Draft202012Validator(schema).iter_errors(example)]
                assert faults == [], f"{method} {path}"


def test_every_operation_tells_how_it_can_fail(app: FastAPI) -> None:
    for method, path, operation in operations(app):
        failed = {status: answer for status, answer in operation["responses"].items() if status >= "400"}
        if not path.startswith(OPEN):
            assert {"401", "403"} <= failed.keys(), f"{method} {path}"
            assert operation["security"], f"{method} {path}"
        if "{" in path:
            assert "404" in failed, f"{method} {path}"
        if method == "POST" and path not in READING:
            assert {"429", "500"} <= failed.keys(), f"{method} {path}"
            has_body = "requestBody" in operation
            assert not has_body or failed.keys() & {"400", "422"}, f"{method} {path}"
        for status, answer in failed.items():
            if (path, status) == ("/health/detailed", "503"):
                continue  # It tells the same as when all is well.
            check_failure(path, status, answer)


def check_failure(path: str, status: str, answer: dict[str, Any]) -> None:
    assert answer["description"], path
    if path.startswith(CONTRACT_B):
        (body,) = answer["content"].values()
        assert body["schema"] == {"$ref": "#/components/schemas/Failure"}
        assert all(example["success"] is False for example in examples_of(body))
        return
    body = answer["content"]["application/problem+json"]
    assert body["schema"] == {"$ref": "#/components/schemas/Problem"}
    assert {example["status"] for example in examples_of(body)} == {int(status)}, path


def test_no_example_is_left_of_what_is_gone(app: FastAPI) -> None:
    examples = json.loads(files("relume.http").joinpath("examples.json").read_text(encoding="utf-8"))
    assert set(examples) <= {f"{method} {path}" for method, path, _ in operations(app)}


def test_the_example_of_a_generation_is_accepted(app: FastAPI) -> None:
    body = app.openapi()["paths"]["/api/v1/generate"]["post"]["requestBody"]["content"]["application/json"]
    (example,) = examples_of(body)
    assert task_parameters(read_request(example))["num_inference_steps"] == 4


async def test_the_reference_loads_nothing_from_elsewhere(app: FastAPI) -> None:
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://relume.test") as client:
        page = await client.get("/docs")
        assert page.status_code == 200
        assert "http://" not in page.text
        assert "https://" not in page.text
        for name in ("swagger-ui-bundle.js", "swagger-ui.css"):
            assert f"/docs-assets/{name}" in page.text
            asset = await client.get(f"/docs-assets/{name}")
            assert asset.status_code == 200
            assert len(asset.content) > 100_000
        assert (await client.get("/docs-assets/../core.py")).status_code == 404
        icon = page.text.partition('rel="shortcut icon" href="')[2].partition('"')[0]
        assert (await client.get(icon)).status_code == 200
        assert (await client.get("/openapi.json")).json()["openapi"].startswith("3.1")
