"""`POST /api/v1/jobs/{job_id}/retry`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from relume.jobs.models import Job
from relume.pipeline import Pipeline
from tests import photos
from tests.contracts.conftest import Client, Start, problem
from tests.loopback import Loopback

PHOTO = photos.encoded("PNG", mode="L")
MOCK = {
    "replicate_api_token": "mock_token_for_demo",
    "replicate_mock_failure_rate": 0,
    "replicate_mock_delay_min": 0,
    "replicate_mock_delay_max": 0,
}


@pytest.fixture
async def web() -> AsyncIterator[Loopback]:
    async with Loopback() as server:
        yield server


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """As long as it is not undone, every job fails."""

    async def faulty(*_arguments: object) -> None:
        raise RuntimeError

    for work in ("run", "generate", "remix"):
        monkeypatch.setattr(Pipeline, work, faulty)
    return monkeypatch


async def retry(client: Client, job_id: str, **headers: str) -> httpx.Response:
    return await client.http.post(f"/api/v1/jobs/{job_id}/retry", headers=headers)


async def job(client: Client, job_id: str) -> Job:
    return await client.services.jobs.get(UUID(job_id))


async def entry(client: Client, job_id: str) -> dict[str, Any]:
    jobs: list[dict[str, Any]] = (await client.http.get("/api/v1/jobs")).json()["jobs"]
    return next(one for one in jobs if one["id"] == job_id)


async def failed(client: Client, **fields: Any) -> str:
    job_id: str = (await client.restore(PHOTO, **fields)).json()["job_id"]
    assert (await client.ended(job_id))["status"] == "failed"
    return job_id


async def again(client: Client, job_id: str) -> str:
    """Tries it again, to a good end."""
    accepted = await retry(client, job_id)
    assert accepted.status_code == 201, accepted.text
    new_id: str = accepted.json()["job_id"]
    assert (await client.ended(new_id))["status"] == "succeeded"
    return new_id


ASKED = ("contract", "model_id", "strength", "scale", "parameters", "local_only", "original_filename", "lane")


def asked(of: Job) -> list[Any]:
    return [getattr(of, name) for name in ASKED]


async def test_a_failed_photo_is_tried_again_as_it_was_asked_for(
    client: Client, broken: pytest.MonkeyPatch
) -> None:
    job_id = await failed(client, upscale=2, strength=0.4, local_only="true")
    told = await entry(client, job_id)
    assert (told["can_retry"], told["error_code"]) == (True, "internal_error")
    broken.undo()
    accepted = await retry(client, job_id)
    body = accepted.json()
    assert (accepted.status_code, set(body), body["status"]) == (201, {"job_id", "status"}, "queued")
    assert accepted.headers["Location"] == f"/v1/jobs/{body['job_id']}"
    state = await client.ended(body["job_id"])
    direct = await client.restored(PHOTO, upscale=2, strength=0.4)
    assert (await client.http.get(state["result_url"])).content == direct.content

    old, new = await job(client, job_id), await job(client, body["job_id"])
    assert asked(new) == asked(old)
    assert new.local_only
    assert new.input_key != old.input_key
    assert (await client.http.get(f"/results/{new.id}/original")).content == PHOTO
    assert not (await entry(client, str(new.id)))["can_retry"]
    assert "error_code" not in await entry(client, str(new.id))

    await client.http.delete(f"/api/v1/jobs/{job_id}/files")
    assert (await client.http.get(f"/results/{new.id}/original")).content == PHOTO


async def test_a_cancelled_photo_is_tried_again(client: Client) -> None:
    await client.services.queue.stop()
    job_id = (await client.restore(PHOTO)).json()["job_id"]
    assert not (await entry(client, job_id))["can_retry"]
    assert "not finished" in problem(await retry(client, job_id), 409, "conflict")
    await client.http.delete(f"/v1/jobs/{job_id}")
    told = await entry(client, job_id)
    assert (told["can_retry"], told["error_code"]) == (True, "job_cancelled")
    await client.services.queue.start()
    await again(client, job_id)


async def test_what_cannot_be_tried_again(client: Client, broken: pytest.MonkeyPatch) -> None:
    problem(await retry(client, str(uuid4())), 404, "not_found")
    problem(await retry(client, "no-id"), 404, "not_found")
    job_id = await failed(client)
    await client.http.delete(f"/api/v1/jobs/{job_id}/files")
    assert not (await entry(client, job_id))["can_retry"]
    assert "send the photo again" in problem(await retry(client, job_id), 410, "expired")
    vanished = await failed(client)
    await client.services.store.delete([str((await job(client, vanished)).input_key)])
    problem(await retry(client, vanished), 410, "expired")
    broken.undo()
    done = (await client.restore(PHOTO)).json()["job_id"]
    await client.ended(done)
    assert "nothing to try again" in problem(await retry(client, done), 409, "conflict")
    assert (await client.http.get("/api/v1/jobs")).json()["total"] == 3, "no job was made"


async def test_a_photo_of_a_batch_keeps_its_place(client: Client) -> None:
    await client.services.queue.stop()
    files = [("files", ("a.png", PHOTO)), ("files", ("b.txt", b"no photo"))]
    batch_id = (await client.http.post("/enhance", files=files)).json()["job_id"]
    await client.http.delete(f"/enhance/{batch_id}")
    good, refused = [str(one.id) for one in await client.services.batches.jobs(UUID(batch_id))]
    assert [(await entry(client, one))["can_retry"] for one in (good, refused)] == [True, False]
    assert f"POST /enhance/{batch_id}/retry" in problem(await retry(client, good), 409, "conflict")
    assert "refused" in problem(await retry(client, refused), 409, "conflict")

    await client.http.post(f"/enhance/{batch_id}/retry")
    await client.services.queue.start()
    alone = await job(client, await again(client, good))  # Its place was taken: it is in no batch any more.
    assert (alone.contract, alone.batch_id, alone.original_filename) == ("enhance", None, "a.png")


async def test_a_url_that_failed_is_fetched_again(start: Start, web: Loopback) -> None:
    async with start(fetch_allowed_hosts=f"127.0.0.1:{web.port}") as client:
        url = web.url("/photo.png")
        web.pages["/photo.png"] = (500, {}, b"")
        job_id = (await client.http.post("/restore", json={"imageUrl": url})).json()["jobId"]
        await client.ended(job_id)
        told = await entry(client, job_id)
        assert (told["files"], told["can_retry"], told["error_code"]) == ("none", True, "fetch_failed")
        web.pages["/photo.png"] = (200, {}, PHOTO)
        state = (await client.http.get(f"/restore/{await again(client, job_id)}")).json()
        assert (state["status"], state["originalUrl"]) == ("completed", url)


async def test_an_original_that_was_fetched_is_not_fetched_again(
    start: Start, web: Loopback, broken: pytest.MonkeyPatch
) -> None:
    async with start(fetch_allowed_hosts=f"127.0.0.1:{web.port}") as client:
        web.pages["/photo.png"] = (200, {}, PHOTO)
        sent = await client.http.post("/restore", json={"imageUrl": web.url("/photo.png")})
        await client.ended(sent.json()["jobId"])
        broken.undo()
        del web.pages["/photo.png"]
        await again(client, sent.json()["jobId"])


async def test_a_url_that_is_not_allowed_any_more_is_refused(start: Start, web: Loopback) -> None:
    async with start(fetch_allowed_hosts=f"127.0.0.1:{web.port}") as client:
        sent = await client.http.post("/restore", json={"imageUrl": web.url("/photo.png")})
        await client.ended(sent.json()["jobId"])
    async with start() as client:
        problem(await retry(client, sent.json()["jobId"]), 422, "url_refused")


async def test_a_rendering_is_tried_again(client: Client, broken: pytest.MonkeyPatch) -> None:
    broken.undo()
    photo_id = (await client.restore(PHOTO, upscale=2)).json()["job_id"]
    await client.ended(photo_id)

    async def faulty(*_arguments: object) -> None:
        raise RuntimeError

    broken.setattr(Pipeline, "remix", faulty)
    sent = await client.http.post(f"/api/v1/jobs/{photo_id}/render", json={"strength": 0.3})
    assert (await client.ended(sent.json()["job_id"]))["status"] == "failed"
    broken.undo()
    new = await job(client, await again(client, sent.json()["job_id"]))
    assert (str(new.render_of), new.strength, new.cost_usd) == (photo_id, 0.3, 0)
    assert await client.services.jobs.repository.attempts(new.id) == []


async def test_a_picture_from_words_is_drawn_again(start: Start, broken: pytest.MonkeyPatch) -> None:
    body = {"prompt": "A lake", "parameters": {"width": 320, "height": 200, "seed": 7}}
    async with start(**MOCK, restore_enabled=False) as client:
        job_id = (await client.http.post("/api/v1/generate", json=body)).json()["id"]
        await client.ended(job_id)
        await client.http.delete(f"/api/v1/jobs/{job_id}/files")
        broken.undo()
        assert (await entry(client, job_id))["can_retry"], "a prompt is kept with the record"
        new_id = await again(client, job_id)
        told = await entry(client, new_id)
        assert (told["prompt"], told["width"], told["height"]) == ("A lake", 320, 200)
        assert (await job(client, new_id)).parameters == (await job(client, job_id)).parameters
    async with start(**MOCK, generation_models="somebody/else") as client:
        problem(await retry(client, job_id), 422, "unknown_model")
    async with start() as client:
        problem(await retry(client, job_id), 503, "no_provider")


async def test_it_is_a_job_for_the_quota_and_the_same_key_makes_one(
    start: Start, broken: pytest.MonkeyPatch
) -> None:
    async with start(quota_jobs_per_day=3) as client:
        job_id, other = await failed(client), await failed(client, strength=0.7)
        once = await retry(client, job_id, **{"Idempotency-Key": "one"})
        same = await retry(client, job_id, **{"Idempotency-Key": "one"})
        assert once.status_code == 201
        assert once.json() == same.json()
        problem(await retry(client, other, **{"Idempotency-Key": "one"}), 400, "idempotency_mismatch")
        problem(await retry(client, job_id, **{"Idempotency-Key": "two"}), 429, "quota_exceeded")
        problem(await retry(client, job_id, **{"Idempotency-Key": "x" * 256}), 422, "invalid_input")
        await client.ended(once.json()["job_id"])


async def test_keys_the_rate_limit_and_the_switch_hold(start: Start, broken: pytest.MonkeyPatch) -> None:
    async with start(api_key="sesame", rate_limit_per_min=1) as client:
        problem(await retry(client, str(uuid4())), 401, "key_missing")
        client.http.headers["X-API-KEY"] = "sesame"
        job_id = await failed(client)
        assert int((await retry(client, job_id)).headers["retry-after"]) >= 1
    async with start(api_key="sesame", restore_enabled=False) as client:
        client.http.headers["X-API-KEY"] = "sesame"
        problem(await retry(client, job_id), 503, "restore_disabled")


async def test_a_key_that_is_held_to_this_machine_stays_there(
    start: Start, broken: pytest.MonkeyPatch
) -> None:
    async with start() as client:
        key = await client.services.keys.create("archive", is_operator=False, local_only=True)
        client.http.headers["X-API-KEY"] = await client.services.keys.create("open", is_operator=False)
        job_id = await failed(client)
        broken.undo()
        client.http.headers["X-API-KEY"] = key
        old, new = await job(client, job_id), await job(client, await again(client, job_id))
    assert (old.local_only, new.local_only) == (False, True)
    assert new.client != old.client
