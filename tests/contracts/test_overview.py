"""`GET /api/v1/overview` and `GET /api/v1/estimate`."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from relume.http.overview import folder_bytes
from relume.http.problems import MEDIA_TYPE
from relume.jobs.models import Job, JobStatus
from tests import photos
from tests.contracts.conftest import Client, Start, problem

PHOTO = photos.encoded("PNG", mode="L")


async def overview(client: Client) -> dict[str, Any]:
    response = await client.http.get("/api/v1/overview")
    assert response.status_code == 200, response.text
    assert response.headers["cache-control"] == "no-store"
    found: dict[str, Any] = response.json()
    return found


async def estimate(client: Client, **query: Any) -> dict[str, Any]:
    response = await client.http.get("/api/v1/estimate", params=query)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


async def test_the_overview_tells_what_happened(client: Client) -> None:
    await client.restored(PHOTO, upscale=2)
    broken = await client.http.post(
        "/enhance", files=[("files", ("notes.txt", b"no photo")), ("files", ("a.png", b"nor this"))]
    )
    assert broken.status_code == 202
    found = await overview(client)
    assert found["queue"] == {"queued": 0, "running": 0, "oldest_queued_seconds": None, "workers": 1}
    by_name = {provider["name"]: provider for provider in found["providers"]}
    assert by_name["builtin"]["succeeded_today"] == 1
    assert by_name["builtin"]["median_seconds"] > 0
    assert by_name["replicate"]["reason"] == "REPLICATE_API_TOKEN is not set"
    assert found["cost_usd_today"] == 0
    assert found["quota"]["jobs_per_day"] == 0
    hours = found["jobs_by_hour"]
    assert len(hours) == 24
    starts = [datetime.fromisoformat(hour["hour"]) for hour in hours]
    assert starts == [starts[0] + timedelta(hours=index) for index in range(24)]
    assert sum(hour["succeeded"] for hour in hours) == 1
    assert sum(hour["failed"] for hour in hours) == 2
    assert {failure["name"] for failure in found["recent_failures"]} == {"notes.txt", "a.png"}
    assert {failure["code"] for failure in found["recent_failures"]} == {"unsupported_format"}
    assert found["disk"]["total_bytes"] > found["disk"]["free_bytes"] > 0
    assert (found["mode"], found["disk"]["is_low"]) == ("embedded", found["disk"]["free_bytes"] < 1e9)


async def test_what_waits_is_told_with_its_age(client: Client) -> None:
    now = datetime.now(UTC)
    values: dict[str, Any] = {
        "contract": "v1",
        "model_id": "restoration/gfpgans-1.4",
        "strength": 1.0,
        "scale": 1,
    }
    job = Job(
        id=uuid4(),
        lane="local",
        status=JobStatus.QUEUED,
        available_at=now + timedelta(hours=1),
        created_at=now - timedelta(minutes=2),
        **values,
    )
    await client.services.jobs.repository.add(job)
    queue = (await overview(client))["queue"]
    assert queue["queued"] == 1
    assert 120 <= queue["oldest_queued_seconds"] < 300


async def test_the_overview_is_for_operators(start: Start) -> None:
    async with start(api_key="operator") as client:
        problem(await client.http.get("/api/v1/overview"), 401, "key_missing")
        key = await client.services.keys.create("a client", is_operator=False)
        headers = {"X-API-KEY": key}
        problem(await client.http.get("/api/v1/overview", headers=headers), 403, "key_wrong")
        assert (await client.http.get("/api/v1/estimate", headers=headers)).status_code == 200
        client.http.headers["X-API-KEY"] = "operator"
        assert (await overview(client))["version"]


async def test_the_overview_holds_no_path_and_no_secret(start: Start, tmp_path: Path) -> None:
    async with start(replicate_api_token="r8_very_secret") as client:
        told = (await client.http.get("/api/v1/overview")).text
    assert "r8_very_secret" not in told
    assert str(tmp_path) not in told


async def test_many_who_look_ask_the_database_once(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    failures = client.services.recent.failures

    async def counted(limit: int) -> list[Job]:
        asked.append(limit)
        return await failures(limit)

    monkeypatch.setattr(client.services.recent, "failures", counted)
    for _ in range(3):
        await overview(client)
    assert asked == [20]


async def test_a_database_that_hangs_is_told_as_away(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    async def hangs(_limit: int) -> list[Job]:
        raise TimeoutError

    monkeypatch.setattr(client.services.recent, "failures", hangs)
    response = await client.http.get("/api/v1/overview")
    problem(response, 503, "service_away")
    assert response.headers["Retry-After"] == "5"


def test_the_bytes_of_a_folder_are_counted(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "a").write_bytes(b"1234")
    (tmp_path / "b").write_bytes(b"56")
    assert folder_bytes(tmp_path) == 6
    assert folder_bytes(tmp_path / "nowhere") == 0


async def test_nothing_is_known_before_the_first_photo(client: Client) -> None:
    assert await estimate(client) == {
        "seconds": None,
        "usd": 0.0,
        "total_seconds": None,
        "total_usd": 0.0,
        "providers": ["builtin"],
        "is_paid": False,
        "based_on": "none",
    }


async def test_what_was_measured_here_counts(client: Client) -> None:
    await client.restored(PHOTO, upscale=2)
    one = await estimate(client, upscale=2, width=64, height=48)
    ten = await estimate(client, upscale=2, width=64, height=48, count=10)
    larger = await estimate(client, upscale=2, width=640, height=480)
    assert one["based_on"] == "measured"
    assert one["seconds"] > 0
    assert math.isclose(ten["total_seconds"], 10 * one["seconds"], rel_tol=0.2), "one photo at a time"
    assert larger["seconds"] > 50 * one["seconds"]


async def test_hosted_models_are_told_by_their_references(start: Start) -> None:
    async with start(replicate_api_token="r8_test", worker_concurrency=4) as client:
        found = await estimate(client, model_id="restoration/gfpgan-real-esrgan", count=10)
        assert (found["based_on"], found["seconds"], found["total_seconds"]) == ("reference", 13, 39)
        assert found["providers"][0] == "replicate"
        assert found["is_paid"]
        assert found["total_usd"] == pytest.approx(10 * found["usd"])
        models = (await client.http.get("/v1/models")).json()["models"]
        assert (await estimate(client))["usd"] == models[0]["estimated_cost_usd"] > 0
        here = await estimate(client, local_only=True)
        assert (here["providers"], here["usd"], here["based_on"]) == (["builtin"], 0, "none")


async def test_where_nobody_can_do_it_nobody_is_named(start: Start) -> None:
    async with start(provider="replicate", replicate_api_token="r8_test") as client:
        found = await estimate(client, local_only=True)
    assert (found["providers"], found["seconds"], found["based_on"]) == ([], None, "none")


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"model_id": "no/such"}, "unknown_model"),
        ({"model_id": "mobile/text-to-image"}, "invalid_parameter"),
        ({"upscale": 3}, "invalid_parameter"),
        ({"count": 0}, "invalid_parameter"),
        ({"count": 1001}, "invalid_parameter"),
        ({"width": 100}, "invalid_parameter"),
        ({"width": 0, "height": 5}, "invalid_parameter"),
        ({"local_only": "perhaps"}, "invalid_parameter"),
    ],
)
async def test_bad_questions_are_refused(client: Client, query: dict[str, Any], code: str) -> None:
    response = await client.http.get("/api/v1/estimate", params=query)
    assert response.headers["content-type"] == MEDIA_TYPE
    problem(response, 422, code)
