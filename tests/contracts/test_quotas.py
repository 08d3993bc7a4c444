"""Quotas as clients meet them."""

from __future__ import annotations

import base64

import httpx
from sqlmodel import select

from relume.jobs.models import Job
from tests import photos
from tests.contracts.conftest import Client, Start, problem

SECONDS_A_DAY = 86_400


def refused(answer: httpx.Response) -> None:
    assert 0 < int(answer.headers["retry-after"]) <= SECONDS_A_DAY + 1


async def clients(client: Client) -> set[str | None]:
    async with client.services.database.reading() as session:
        return set((await session.execute(select(Job.client))).scalars())


async def test_over_the_quota_every_contract_refuses_in_its_own_shape(start: Start) -> None:
    async with start(quota_jobs_per_day=2) as client:
        for _ in range(2):
            assert (await client.restore(photos.encoded("PNG"))).status_code == 201

        again = await client.restore(photos.encoded("PNG"))
        sentence = problem(again, 429, "quota_exceeded")
        assert sentence.startswith("Your quota for today is used up: the limit is 2 photos or prompts a day.")
        refused(again)

        by_url = await client.http.post("/restore", json={"imageUrl": "https://192.0.32.8/photo.jpg"})
        problem(by_url, 429, "quota_exceeded")
        refused(by_url)

        image = base64.b64encode(photos.encoded("PNG")).decode()
        mobile = await client.http.post("/api/ai/hd-image", json={"image": image})
        assert mobile.status_code == 429
        assert mobile.json() == {"success": False, "error": sentence}
        refused(mobile)


async def test_a_client_without_a_key_is_its_address_in_a_digest(start: Start) -> None:
    async with start(quota_jobs_per_day=5) as client:
        await client.restore(photos.encoded("PNG"))
        (name,) = await clients(client)
    assert name is not None
    assert name.startswith("address-")
    assert "127.0.0.1" not in name


async def test_a_key_is_a_client_wherever_it_comes_from(start: Start) -> None:
    async with start(quota_jobs_per_day=5, api_key="k3y") as client:
        await client.restore(photos.encoded("PNG"), headers={"x-api-key": "k3y"})
        (name,) = await clients(client)
        assert name is not None
        assert not name.startswith("address-")


async def test_without_quotas_no_address_is_kept(client: Client) -> None:
    await client.restore(photos.encoded("PNG"))
    assert await clients(client) == {None}


async def test_idempotency_keys_without_api_keys_do_not_depend_on_the_address(start: Start) -> None:
    data, headers = photos.encoded("PNG"), {"Idempotency-Key": "once"}
    async with start(quota_jobs_per_day=1) as client:
        first = await client.restore(data, headers=headers)
        transport = httpx.ASGITransport(app=client.http._transport.app, client=("203.0.113.7", 1))  # type: ignore[attr-defined]
        async with httpx.AsyncClient(transport=transport, base_url="http://relume.test") as moved:
            again = await moved.post("/v1/restore", files={"image": data}, headers=headers)
    assert (again.status_code, again.json()) == (201, first.json())


async def test_the_information_tells_the_quotas(start: Start) -> None:
    async with start(quota_jobs_per_day=7, quota_usd_per_day=0.5) as client:
        limits = (await client.http.get("/info")).json()["limits"]
    assert (limits["quota_jobs_per_day"], limits["quota_usd_per_day"]) == (7, 0.5)
