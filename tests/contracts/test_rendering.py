"""`POST /api/v1/jobs/{job_id}/render`."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import httpx
import numpy as np
import pytest

from tests import photos
from tests.contracts.conftest import Client, Start, problem

PHOTO = photos.encoded("PNG", mode="L")


async def render(client: Client, job_id: str, body: Any, **headers: str) -> httpx.Response:
    return await client.http.post(f"/api/v1/jobs/{job_id}/render", json=body, headers=headers)


async def restored(client: Client, data: bytes = PHOTO, **fields: Any) -> str:
    job_id: str = (await client.restore(data, **fields)).json()["job_id"]
    assert (await client.ended(job_id))["status"] == "succeeded"
    return job_id


async def test_another_strength_is_a_job_like_any_other(client: Client) -> None:
    job_id = await restored(client, upscale=2, strength=0.9)
    accepted = await render(client, job_id, {"strength": 0.2})
    assert accepted.status_code == 201
    body = accepted.json()
    assert (set(body), body["status"]) == ({"job_id", "status"}, "queued")
    assert accepted.headers["Location"] == f"/v1/jobs/{body['job_id']}"
    state = await client.ended(body["job_id"])
    direct_id = await restored(client, upscale=2, strength=0.2)
    results = [await client.http.get(f"/results/{done}.png") for done in (body["job_id"], direct_id)]
    assert results[0].content == results[1].content
    assert state["result_url"] == str(results[0].url)
    told = (await client.http.get(f"/restore/{body['job_id']}")).json()["metadata"]
    direct = (await client.http.get(f"/restore/{direct_id}")).json()["metadata"]
    assert [part["model"] for part in told["steps"]] == [part["model"] for part in direct["steps"]]
    for name in ("cost_usd", "outcome", "fidelity", "width", "height"):
        assert told[name] == direct[name]
    metadata = (await client.http.get(f"/api/v1/jobs/{body['job_id']}/metadata")).json()
    assert (metadata["render_of"], metadata["strength"], metadata["attempts"]) == (job_id, 0.2, [])


async def test_the_unmixed_file_is_not_served(client: Client) -> None:
    job_id = await restored(client)
    problem(await client.http.get(f"/results/{job_id}.unmixed.png"), 404, "not_found")


async def test_from_a_jpeg_of_full_strength_it_is_nearly_the_same(client: Client) -> None:
    """That JPEG is all that is kept: what its compression took is missing from the mix."""
    photo = photos.encoded("JPEG")
    job_id = await restored(client, photo, strength=1, upscale=2)
    state = await client.ended((await render(client, job_id, {"strength": 0.5})).json()["job_id"])
    made = photos.pixels((await client.http.get(state["result_url"])).content).astype(int)
    direct = photos.pixels((await client.restored(photo, strength=0.5, upscale=2)).content)
    assert np.abs(made - direct).mean() < 1.5


@pytest.mark.parametrize(
    "body", [{}, {"strength": 0.05}, {"strength": 1.1}, {"strength": "0.5"}, {"strength": True}]
)
async def test_a_strength_out_of_range_is_refused(client: Client, body: dict[str, Any]) -> None:
    told = problem(await render(client, str(uuid4()), body), 422, "invalid_parameter")
    assert told == "strength must be a number from 0.1 to 1.0."


async def test_what_cannot_be_rendered(client: Client) -> None:
    problem(await render(client, str(uuid4()), {"strength": 0.5}), 404, "not_found")
    problem(await render(client, "no-id", {"strength": 0.5}), 404, "not_found")
    asked = {"prompt": "A lighthouse", "width": 64, "height": 64}
    drawn = (await client.http.post("/api/huggingface/text-to-image", json=asked)).json()["job_id"]
    assert "prompt" in problem(await render(client, drawn, {"strength": 0.5}), 409, "conflict")
    job_id = await restored(client)
    await client.services.jobs.repository.files.mark_deleted([UUID(job_id)], client.services.clock.now())
    problem(await render(client, job_id, {"strength": 0.5}), 410, "expired")


async def test_without_the_unmixed_file_only_full_strength_can_be_changed(start: Start) -> None:
    async with start(keep_unmixed=False) as client:
        mixed = await restored(client, upscale=2)
        told = problem(await render(client, mixed, {"strength": 0.5}), 409, "conflict")
        assert "KEEP_UNMIXED" in told
        full = await restored(client, upscale=2, strength=1)
        assert (await render(client, full, {"strength": 0.5})).status_code == 201


async def test_it_is_a_job_for_the_rate_limit_and_the_quota(start: Start) -> None:
    async with start(quota_jobs_per_day=2) as client:
        job_id = await restored(client, upscale=2)
        once = await render(client, job_id, {"strength": 0.5}, **{"Idempotency-Key": "one"})
        again = await render(client, job_id, {"strength": 0.5}, **{"Idempotency-Key": "one"})
        assert once.json() == again.json()
        problem(await render(client, job_id, {"strength": 0.6}), 429, "quota_exceeded")
