"""Contract A, on the built-in restorer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from relume import fetch
from tests import photos
from tests.contracts.conftest import Client, Start, problem
from tests.loopback import Loopback


@pytest.fixture
async def web() -> AsyncIterator[Loopback]:
    async with Loopback() as server:
        yield server


@pytest.fixture
async def family(start: Start, web: Loopback) -> AsyncIterator[Client]:
    """An application that may fetch from the test's server."""
    async with start(fetch_allowed_hosts=f"127.0.0.1:{web.port}") as client:
        yield client


async def ended(client: Client, url: str) -> dict[str, Any]:
    accepted = await client.http.post("/restore", json={"imageUrl": url})
    assert accepted.status_code == 202, accepted.text
    assert set(accepted.json()) == {"status", "jobId"}
    assert accepted.json()["status"] == "processing"
    async with asyncio.timeout(30):
        while True:
            state: dict[str, Any] = (await client.http.get(f"/restore/{accepted.json()['jobId']}")).json()
            if state["status"] != "processing":
                return state
            await asyncio.sleep(0.02)


async def test_a_photo_is_restored_by_its_url(family: Client, web: Loopback) -> None:
    web.pages["/photo.jpg"] = (200, {"Content-Type": "image/jpeg"}, photos.encoded("JPEG"))
    state = await ended(family, web.url("/photo.jpg"))
    assert (state["status"], state["originalUrl"]) == ("completed", web.url("/photo.jpg"))
    assert state["pipeline"] == ["Relume built-in", "Relume built-in"]
    assert [step["provider"] for step in state["metadata"]["steps"]] == ["builtin", "builtin"]
    assert 0.5 < state["metadata"]["fidelity"] <= 1
    result = await family.http.get(state["restoredUrl"])
    assert photos.opened(result.content).size == (256, 192)


async def test_up_to_three_redirects_are_followed(family: Client, web: Loopback) -> None:
    web.pages["/0"] = (200, {}, photos.encoded("PNG"))
    for hop in range(1, 5):
        web.pages[f"/{hop}"] = (302, {"Location": f"/{hop - 1}"}, b"")
    assert (await ended(family, web.url("/3")))["status"] == "completed"
    state = await ended(family, web.url("/4"))
    assert (state["status"], state["error"]) == ("failed", "The URL redirects more than 3 times.")
    assert set(state) == {"status", "originalUrl", "error"}


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.org/a.jpg",
        "file:///etc/passwd",
        "https://user:secret@example.org/a.jpg",
        "https://",
        "photo.jpg",
        "http://127.0.0.1/a.jpg",
        "http://2130706433/a.jpg",
        "http://0x7f000001/a.jpg",
        "http://0177.0.0.1/a.jpg",
        "http://127.1/a.jpg",
        "http://localhost/a.jpg",
        "http://[::1]/a.jpg",
        "http://[::ffff:127.0.0.1]/a.jpg",
        "http://[64:ff9b::7f00:1]/a.jpg",
        "http://[2002:7f00:1::]/a.jpg",
        "http://169.254.169.254/latest/meta-data",
        "http://10.0.0.1/a.jpg",
        "http://192.168.1.1/a.jpg",
        "http://100.64.0.1/a.jpg",
        "http://0.0.0.0/a.jpg",
        "http://example.org:0/a.jpg",
        "http://exa mple.org/a.jpg",
        "http://example.org\0/a.jpg",
        "http://example.org/\ud800.jpg",
        "https://example.org/" + "a" * 5000,
    ],
)
async def test_urls_that_lead_nowhere_public_are_400(client: Client, url: str) -> None:
    body = json.dumps({"imageUrl": url})  # Not by `json=`: a lone surrogate must go through as its escape.
    detail = problem(await client.http.post("/restore", content=body), 400, "url_refused")
    assert "secret" not in detail
    assert await client.services.jobs.repository.counts() == {}


async def test_a_redirect_to_a_private_address_fails_the_job_and_contacts_nobody(
    start: Start, web: Loopback
) -> None:
    async with Loopback() as private, start(fetch_allowed_hosts=f"127.0.0.1:{web.port}") as client:
        for path, target in {"/a": private.url("/x"), "/b": f"http://localhost:{private.port}/x"}.items():
            web.pages[path] = (302, {"Location": target}, b"")
            state = await ended(client, web.url(path))
            assert state["status"] == "failed"
            assert "public" in state["error"]
        assert private.connections == 0


@pytest.mark.parametrize(
    ("page", "sentence"),
    [
        ((404, {}, b""), "status 404"),
        ((200, {}, b"<!DOCTYPE html><p>Sorry"), "web page"),
        ((200, {}, b""), "empty"),
        ((200, {"Content-Length": "99000000"}, b"x"), "larger than 15 MB"),
        ((200, {}, photos.encoded("JPEG")[:300]), "damaged"),
        ((200, {}, photos.encoded("GIF")), "GIF"),
        ((302, {}, b""), "status 302"),
        ((302, {"Location": "ftp://example.org/x"}, b""), "http"),
    ],
    ids=["404", "html", "empty", "huge", "cut", "gif", "redirect to nothing", "redirect to ftp"],
)
async def test_what_only_the_download_can_tell_fails_the_job(
    family: Client, web: Loopback, page: tuple[int, dict[str, str], bytes], sentence: str
) -> None:
    web.pages["/x"] = page
    state = await ended(family, web.url("/x"))
    assert state["status"] == "failed"
    assert sentence in state["error"]


async def test_a_server_that_never_answers_fails_the_job(
    family: Client, web: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "DOWNLOAD_SECONDS", 0.3)
    web.hang.add("/slow")
    state = await ended(family, web.url("/slow"))
    assert (state["status"], state["error"]) == ("failed", "The image's server took too long to answer.")


async def test_a_server_that_is_not_there_fails_the_job(start: Start) -> None:
    async with start(fetch_allowed_hosts="127.0.0.1:9") as client:
        state = await ended(client, "http://127.0.0.1:9/a.jpg")
        assert (state["status"], state["error"]) == ("failed", "The image's server could not be reached.")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"imageUrl": 5}',
        b'{"imageUrl": ["https://a.org/1", "https://a.org/2"]}',
        b'{"imageUrl": ""}',
        b"{}",
        b"[" * 60000,
    ],
    ids=len,
)
async def test_bodies_that_are_no_request_are_400(client: Client, body: bytes) -> None:
    response = await client.http.post("/restore", content=body, headers={"content-type": "application/json"})
    assert response.status_code == 400
    assert response.headers["content-type"] == "application/problem+json"


async def test_a_job_by_url_is_seen_through_contract_d(family: Client, web: Loopback) -> None:
    web.pages["/p"] = (200, {}, photos.encoded("PNG"))
    accepted = await family.http.post("/restore", json={"imageUrl": web.url("/p")})
    state = await family.ended(accepted.json()["jobId"])
    assert state["status"] == "succeeded"
