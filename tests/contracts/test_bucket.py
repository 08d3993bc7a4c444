"""The service with its files in a bucket: results passed through, and results by a link."""

from __future__ import annotations

import asyncio
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import httpx
import pytest

from tests import photos
from tests.buckets import KEY_ID, SECRET_KEY, Bucket, Fault, bucket, s3_server
from tests.contracts.conftest import Client, Start, problem

__all__ = ["bucket", "s3_server"]  # Fixtures.


@pytest.fixture
def chosen(bucket: Bucket, tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    database = tmp_path_factory.mktemp("database") / "jobs.sqlite3"
    return bucket.settings(database_url=f"sqlite:///{database}", provider="builtin")


async def finished(client: Client) -> str:
    """The path of a fresh result in its final place."""
    accepted = await client.restore(photos.encoded("PNG"))
    assert accepted.status_code == 201, accepted.text
    state = await client.ended(accepted.json()["job_id"])
    assert state["status"] == "succeeded", state
    async with asyncio.timeout(30):
        while (await client.services.jobs.get(UUID(state["job_id"]))).staged_key is not None:
            await asyncio.sleep(0.02)
    return str(urlsplit(state["result_url"]).path)


async def test_a_photo_goes_through_the_bucket_and_back(
    start: Start, chosen: dict[str, object], bucket: Bucket
) -> None:
    async with start(**chosen) as client:
        path = await finished(client)
        answer = await client.http.get(path)
        name = path.rpartition("/")[2]
        assert bucket.keys() == [f"relume/processed_images/{name}", f"relume/temp_uploads/{name}"]
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
        assert answer.headers["content-length"] == str(len(answer.content))
        assert photos.opened(answer.content).size == (64, 48)


async def test_clients_are_led_to_the_bucket_for_a_while(start: Start, chosen: dict[str, object]) -> None:
    async with start(**chosen, result_delivery="redirect", result_link_seconds=77) as client:
        path = await finished(client)
        for method in ("GET", "HEAD"):
            answer = await client.http.request(method, path)
            assert (answer.status_code, answer.headers["cache-control"]) == (307, "no-store")
            link = answer.headers["location"]
            assert parse_qs(urlsplit(link).query)["X-Amz-Expires"] == ["77"]
            assert KEY_ID in link
            assert SECRET_KEY not in link
            async with httpx.AsyncClient(trust_env=False) as bare:
                served = await bare.request(method, link)
            assert (served.status_code, served.headers["content-type"]) == (200, "image/png")
        through = await client.http.get(path, params={"delivery": "proxy"})
        assert through.status_code == 200
        assert photos.opened(through.content).size == (64, 48)
        problem(await client.http.get(path, params={"delivery": "pigeon"}), 400, "invalid_parameter")


async def test_a_missing_result_is_told_here_and_not_in_the_bucket(
    start: Start, chosen: dict[str, object], bucket: Bucket
) -> None:
    async with start(**chosen, result_delivery="redirect") as client:
        path = await finished(client)
        bucket.client.delete_object(
            Bucket=bucket.name, Key=f"relume/processed_images/{path.rpartition('/')[2]}"
        )
        problem(await client.http.get(path), 410, "expired")


async def test_without_its_bucket_the_service_does_not_start(
    start: Start, chosen: dict[str, object], bucket: Bucket, caplog: pytest.LogCaptureFixture
) -> None:
    bucket.server.faults += [Fault(method, "403 Forbidden") for method in ("GET", "PUT", "POST", "HEAD")]
    with pytest.raises(OSError, match="refuses these credentials"):
        async with start(**chosen):
            pass
    assert SECRET_KEY not in caplog.text
