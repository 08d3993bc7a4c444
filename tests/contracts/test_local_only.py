"""`local_only`: nothing is sent to a hosted provider, whichever contract asks, and whatever fails here."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import UUID

import httpx
import pytest

from relume.jobs.models import Job
from relume.providers.builtin import BuiltinProvider
from tests import photos
from tests.contracts.conftest import Client, Start, problem
from tests.doubles.replicate import ReplicateDouble
from tests.loopback import Loopback

PHOTO = photos.encoded("PNG")


@pytest.fixture
def double() -> Iterator[ReplicateDouble]:
    with ReplicateDouble() as double:
        yield double


@pytest.fixture
async def hosted(start: Start, double: ReplicateDouble) -> AsyncIterator[Client]:
    """A service whose first choice for everything is Replicate."""
    async with start(replicate_api_token="r8_test_token", replicate_base_url=double.url) as client:
        yield client


async def ended(client: Client, job_id: str) -> Job:
    await client.ended(job_id)
    return await client.services.jobs.get(UUID(job_id))


def providers(job: Job) -> set[str]:
    return {part["provider"] for part in job.report or []}


async def test_contract_d_keeps_the_photo_here(hosted: Client, double: ReplicateDouble) -> None:
    accepted = await hosted.restore(PHOTO, local_only="true", upscale=4)
    job = await ended(hosted, accepted.json()["job_id"])
    assert (job.status, job.local_only, providers(job)) == ("succeeded", True, {"builtin"})
    assert double.received == []


async def test_contract_a_keeps_the_photo_here(start: Start, double: ReplicateDouble) -> None:
    async with Loopback() as web:
        web.pages["/p.jpg"] = (200, {}, photos.encoded("JPEG"))
        settings: dict[str, Any] = {"replicate_api_token": "r8_test", "replicate_base_url": double.url}
        async with start(**settings, fetch_allowed_hosts=f"127.0.0.1:{web.port}") as client:
            body = {"imageUrl": web.url("/p.jpg"), "local_only": True}
            accepted = await client.http.post("/restore", json=body)
            job = await ended(client, accepted.json()["jobId"])
    assert providers(job) == {"builtin"}
    assert double.received == []


@pytest.mark.parametrize("path", ["fix-old-photo", "hd-image", "cartoonify"])
async def test_contract_b_keeps_the_photo_here(hosted: Client, double: ReplicateDouble, path: str) -> None:
    body = {"image": base64.b64encode(PHOTO).decode(), "local_only": True}
    answer = (await hosted.http.post(f"/api/ai/{path}", json=body)).json()
    assert (answer["success"], answer["source"]) == (True, "builtin")
    assert double.received == []


async def test_contract_c_keeps_the_photos_here(hosted: Client, double: ReplicateDouble) -> None:
    accepted = await hosted.http.post(
        "/enhance", files={"files": ("a.png", PHOTO)}, data={"scale": "2", "local_only": "true"}
    )
    (job,) = await hosted.services.batches.jobs(UUID(accepted.json()["job_id"]))
    assert providers(await ended(hosted, str(job.id))) == {"builtin"}
    assert double.received == []


async def test_a_failure_here_does_not_fall_back_on_others(
    hosted: Client, double: ReplicateDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: Any) -> Any:
        raise RuntimeError

    monkeypatch.setattr(BuiltinProvider, "run", fails)
    accepted = await hosted.restore(PHOTO, local_only="true")
    state = await hosted.ended(accepted.json()["job_id"])
    assert state["status"] == "failed"
    assert state["error"] == "All services failed: The built-in restorer: it failed in an unexpected way."
    assert double.received == []


async def test_a_hosted_result_is_no_answer_and_a_local_one_is(
    hosted: Client, double: ReplicateDouble
) -> None:
    jobs = []
    for fields in ({}, {"local_only": "true"}, {"local_only": "true"}, {}):
        accepted = await hosted.restore(PHOTO, **fields)
        jobs.append(await ended(hosted, accepted.json()["job_id"]))
    assert [providers(job) for job in jobs] == [{"replicate"}, {"builtin"}, {"builtin"}, {"replicate"}]
    repository = hosted.services.jobs.repository
    assert [len(await repository.attempts(job.id)) for job in jobs] == [1, 1, 0, 0], "two came from the cache"
    assert len(double.inputs) == 1


async def test_where_nothing_is_hosted_one_result_serves_both(client: Client) -> None:
    first = await client.restore(PHOTO, local_only="true")
    await client.ended(first.json()["job_id"])
    second = await client.restore(PHOTO)
    job = await ended(client, second.json()["job_id"])
    assert await client.services.jobs.repository.attempts(job.id) == []


async def test_what_nothing_here_can_do_is_refused_at_once(start: Start) -> None:
    async with start(provider="replicate", replicate_api_token="r8_test") as client:
        assert "stay on this machine" in problem(
            await client.restore(PHOTO, local_only="true"), 503, "no_provider"
        )
        asked = {"prompt": "A lighthouse", "local_only": True}
        problem(await client.http.post("/api/v1/generate", json=asked), 503, "no_provider")
        body = {"image": base64.b64encode(PHOTO).decode(), "local_only": True}
        refused = await client.http.post("/api/ai/hd-image", json=body)
        assert (refused.status_code, refused.json()["success"]) == (503, False)
        assert (await client.http.get("/api/v1/jobs")).json()["total"] == 0


async def test_a_key_can_hold_its_jobs_to_this_machine(hosted: Client, double: ReplicateDouble) -> None:
    key = await hosted.services.keys.create("archive", is_operator=False, local_only=True)
    hosted.http.headers["X-API-KEY"] = key
    accepted = await hosted.restore(PHOTO, local_only="false")
    assert providers(await ended(hosted, accepted.json()["job_id"])) == {"builtin"}
    refused = await hosted.http.post("/api/v1/generate", json={"prompt": "A lighthouse"})
    problem(refused, 503, "no_provider")
    assert double.received == []


async def test_it_is_true_or_false(client: Client) -> None:
    def told(response: httpx.Response, status: int = 400) -> str:
        return problem(response, status, "invalid_parameter")

    wanted = "local_only must be true or false."
    assert told(await client.restore(PHOTO, local_only="yes")) == wanted
    body: dict[str, Any] = {"imageUrl": "https://example.org/p.jpg", "local_only": 1}
    assert told(await client.http.post("/restore", json=body)) == wanted
    body = {"prompt": "A lighthouse", "local_only": "true"}
    assert told(await client.http.post("/api/v1/generate", json=body), 422) == wanted


async def test_an_idempotency_key_tells_the_two_apart(client: Client) -> None:
    headers = {"Idempotency-Key": "one"}
    await client.restore(PHOTO, headers=headers)
    problem(await client.restore(PHOTO, local_only="true", headers=headers), 400, "idempotency_mismatch")
