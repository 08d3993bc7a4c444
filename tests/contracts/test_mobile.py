"""Contract B: one call, image in, image out."""

from __future__ import annotations

import asyncio
import base64
import io
from typing import Any
from uuid import UUID

import httpx
import numpy as np
import pytest
from PIL import Image

from relume.http.contracts import mobile
from relume.providers import generic
from tests import photos
from tests.contracts.conftest import Client, Start


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def failure(response: httpx.Response, status: int) -> str:
    """Assert an error of contract B's shape; give its sentence."""
    assert response.status_code == status, response.text
    body = response.json()
    assert set(body) <= {"success", "error", "job_id"}
    assert body["success"] is False
    error: str = body["error"]
    assert error.endswith(".")
    return error


def image_of(response: httpx.Response) -> Image.Image:
    assert response.status_code == 200, response.text
    body = response.json()
    assert set(body) == {"success", "image", "message", "source", "job_id"}
    assert body["success"] is True
    UUID(body["job_id"])
    head, _, data = body["image"].partition(",")
    image = Image.open(io.BytesIO(base64.b64decode(data)))
    image.load()
    assert head == f"data:image/{str(image.format).lower()};base64"
    return image


async def test_an_old_photo_is_fixed(client: Client) -> None:
    response = await client.http.post("/api/ai/fix-old-photo", json={"image": b64(photos.encoded("PNG"))})
    image = image_of(response)
    assert (image.format, image.size) == ("PNG", (128, 96))
    body = response.json()
    assert (body["source"], body["message"]) == ("builtin", "Image processed successfully")


@pytest.mark.parametrize(("body", "size"), [({}, (256, 192)), ({"scale": 2}, (128, 96))])
async def test_a_photo_is_enlarged(client: Client, body: dict[str, int], size: tuple[int, int]) -> None:
    image = "data:image/png;base64," + b64(photos.encoded("JPEG"))
    response = await client.http.post("/api/ai/hd-image", json={"image": image} | body)
    found = image_of(response)
    assert (found.format, found.size) == ("JPEG", size), "the type is told by content"


@pytest.mark.parametrize("format_", ["PNG", "JPEG", "GIF", "WEBP"])
async def test_every_format_of_the_app_is_taken(client: Client, format_: str) -> None:
    body = {"image": b64(photos.encoded(format_)), "scale": 2}
    assert image_of(await client.http.post("/api/ai/hd-image", json=body)).size == (128, 96)


async def test_a_photo_becomes_a_cartoon_offline(client: Client) -> None:
    data = photos.encoded("PNG", 200, 150)
    response = await client.http.post("/api/ai/cartoonify", json={"image": b64(data)})
    cartoon = image_of(response)
    assert cartoon.size == (200, 150)
    assert response.json()["source"] == "builtin"
    difference = np.abs(np.asarray(cartoon, float) - photos.pixels(data)).mean()
    assert 4 < difference < 60


async def test_base64_is_read_as_apps_write_it(client: Client) -> None:
    text = b64(photos.encoded("PNG"))
    lines = "\n".join(text[start : start + 76] for start in range(0, len(text), 76))
    for image in (lines, text.rstrip("="), text.replace("+", "-").replace("/", "_")):
        response = await client.http.post("/api/ai/hd-image", json={"image": image, "scale": 2})
        assert response.status_code == 200, response.text


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        ("/api/ai/fix-old-photo", {}, 400, "No photo"),
        ("/api/ai/fix-old-photo", {"image": ""}, 400, "No photo"),
        ("/api/ai/fix-old-photo", {"image": 5}, 400, "No photo"),
        ("/api/ai/fix-old-photo", {"image": "%%%"}, 400, "base64"),
        ("/api/ai/fix-old-photo", {"image": b64(b"just text")}, 415, "text"),
        ("/api/ai/fix-old-photo", {"image": b64(photos.encoded("PNG")[:-99])}, 400, "damaged"),
        ("/api/ai/fix-old-photo", {"image": b64(photos.encoded("TIFF"))}, 415, "TIFF"),
        ("/api/ai/fix-old-photo", {"image": b64(photos.encoded()), "version": "v9"}, 400, "v1.2 or v1.3"),
        ("/api/ai/hd-image", {"image": b64(photos.encoded()), "scale": 3}, 400, "2 or 4"),
        ("/api/ai/hd-image", {"image": b64(photos.encoded()), "scale": True}, 400, "2 or 4"),
        ("/api/ai/cartoonify", {"image": b64(photos.encoded()), "style": "x"}, 400, "comic"),
        ("/api/huggingface/text-generation", {"prompt": " "}, 400, "prompt"),
        ("/api/huggingface/text-generation", {"prompt": "x", "temperature": 9}, 400, "temperature"),
        ("/api/huggingface/text-generation", {"prompt": "Hello"}, 503, "No service"),
        ("/api/huggingface/text-to-image", {"prompt": "x", "width": 5}, 400, "width"),
        ("/api/huggingface/text-to-image", {"prompt": "x", "model": "../../x y"}, 400, "owner/name"),
        ("/api/huggingface/text-to-image", {"prompt": "x", "model": "a/dear-one"}, 400, "stable-diffusion"),
    ],
    ids=str,
)
async def test_what_cannot_be_used_is_told(
    client: Client, path: str, body: dict[str, Any], status: int, words: str
) -> None:
    assert words in failure(await client.http.post(path, json=body), status)
    assert await client.services.jobs.repository.counts() == {}


async def test_broken_requests_have_the_same_shape(client: Client) -> None:
    failure(await client.http.post("/api/ai/hd-image", content=b"{"), 400)
    failure(await client.http.post("/api/ai/hd-image", content=b"[1]"), 400)
    big = b'{"image": "' + b"A" * 21_000_000 + b'"}'
    assert "15 MB" in failure(await client.http.post("/api/ai/hd-image", content=big), 413)


async def test_keys_limits_and_the_flag_have_the_same_shape(start: Start) -> None:
    body = {"image": b64(photos.encoded()), "scale": 2}
    async with start(api_key="k") as client:
        failure(await client.http.post("/api/ai/hd-image", json=body), 401)
        wrong = await client.http.post("/api/ai/hd-image", json=body, headers={"X-API-KEY": "x"})
        failure(wrong, 403)
    async with start(rate_limit_per_min=1) as client:
        assert (await client.http.post("/api/ai/hd-image", json=body)).status_code == 200
        limited = await client.http.post("/api/ai/hd-image", json=body)
        failure(limited, 429)
        assert int(limited.headers["retry-after"]) > 0
    async with start(restore_enabled=False) as client:
        failure(await client.http.post("/api/ai/hd-image", json=body), 503)


async def test_a_job_that_takes_too_long_is_504_and_goes_on(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mobile, "WAIT_SECONDS", 0.2)
    monkeypatch.setattr(generic, "_WAIT_SECONDS", (0.8, 0.8))
    async with start(provider="generic") as client:
        body = {"image": b64(photos.encoded()), "scale": 2}
        response = await client.http.post("/api/ai/hd-image", json=body)
        failure(response, 504)
        state = await client.ended(response.json()["job_id"])
        assert state["status"] == "succeeded"
        assert photos.opened((await client.http.get(state["result_url"])).content).size == (128, 96)


async def test_a_fault_of_ours_is_masked(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    async def faulty(_submission: object) -> None:
        raise RuntimeError("/etc/secret")

    monkeypatch.setattr(client.services.jobs, "submit", faulty)
    response = await client.http.post("/api/ai/hd-image", json={"image": b64(photos.encoded())})
    assert "secret" not in failure(response, 500)


async def test_mock_mode_stands_in_for_the_hosted_service(start: Start) -> None:
    mock = {"replicate_api_token": "mock_token_for_demo", "replicate_mock_failure_rate": 0}
    delays = {"replicate_mock_delay_min": 0, "replicate_mock_delay_max": 0}
    async with start(**mock, **delays) as client:
        body = {"image": b64(photos.encoded("PNG", 200, 150)), "scale": 2}
        answer = await client.http.post("/api/ai/hd-image", json=body)
        assert (image_of(answer).size, answer.json()["source"]) == ((400, 300), "mock")


async def test_many_calls_at_once_each_get_their_own(client: Client) -> None:
    sizes = [(20 + number, 30) for number in range(8)]
    bodies = [{"image": b64(photos.encoded("PNG", *size)), "scale": 2} for size in sizes]
    responses = await asyncio.gather(*(client.http.post("/api/ai/hd-image", json=body) for body in bodies))
    assert [image_of(response).size for response in responses] == [(2 * w, 2 * h) for w, h in sizes]
