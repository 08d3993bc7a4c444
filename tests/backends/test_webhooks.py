"""Messages about ended jobs reach their receiver, signed, and are tried again until they do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from standardwebhooks import Webhook

from relume.jobs.models import Job
from relume.outbound import UrlPolicy
from relume.webhooks import RETRY_SECONDS, WebhookSender
from tests.engine import Engine
from tests.loopback import Loopback

SECRET = "whsec_" + "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0"


@pytest.fixture
async def receiver() -> AsyncIterator[Loopback]:
    async with Loopback() as server:
        yield server


@pytest.fixture
async def sender(engine: Engine, receiver: Loopback) -> AsyncIterator[WebhookSender]:
    policy = UrlPolicy([f"127.0.0.1:{receiver.port}"])
    sender = WebhookSender(engine.repository.deliveries, policy, engine.clock, SECRET, engine.meters)
    yield sender
    await sender.close()


async def ended_job(engine: Engine, url: str) -> Job:
    return await engine.ended(await engine.submit(webhook_url=url))


async def test_the_receiver_can_verify_the_message(
    engine: Engine, sender: WebhookSender, receiver: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.clock.time = engine.clock.time.now(engine.clock.time.tzinfo)  # The signature has an age limit.
    job = await ended_job(engine, receiver.url("/hook"))
    assert await sender.send_due() == 1
    (request,) = receiver.requests
    message = Webhook(SECRET).verify(request.body, request.headers)
    assert message["type"] == "job.succeeded"
    assert message["data"] == {"job_id": str(job.id), "status": "succeeded", "error": None, "code": None}
    assert await sender.send_due() == 0


async def test_a_refused_message_is_tried_ten_times_and_given_up(
    engine: Engine, sender: WebhookSender, receiver: Loopback
) -> None:
    receiver.status = 500
    job = await ended_job(engine, receiver.url("/hook"))
    for wait in RETRY_SECONDS:
        assert await sender.send_due() == 1
        assert await sender.send_due() == 0
        engine.clock.forward(seconds=wait)
    assert await sender.send_due() == 1
    engine.clock.forward(days=2)
    assert await sender.send_due() == 0
    (delivery,) = await engine.repository.deliveries.of_job(job.id)
    assert (delivery.tries, delivery.last_status, delivery.delivered_at) == (10, 500, None)
    assert delivery.given_up_at is not None
    assert timedelta(seconds=sum(RETRY_SECONDS)) < timedelta(hours=2)


async def test_two_senders_send_it_once(engine: Engine, sender: WebhookSender, receiver: Loopback) -> None:
    await ended_job(engine, receiver.url("/hook"))
    await asyncio.gather(sender.send_due(), sender.send_due(), sender.send_due())
    assert len(receiver.requests) == 1


async def test_a_cancelled_job_is_told_as_failed(
    engine: Engine, sender: WebhookSender, receiver: Loopback
) -> None:
    job = await engine.submit(webhook_url=receiver.url("/hook"))
    await engine.service.cancel(job.id)
    await sender.send_due()
    assert b'"type":"job.cancelled"' in receiver.requests[0].body
    assert b'"status":"failed"' in receiver.requests[0].body


async def test_a_private_receiver_is_never_contacted(engine: Engine, receiver: Loopback) -> None:
    strict = WebhookSender(engine.repository.deliveries, UrlPolicy(), engine.clock, SECRET)
    await ended_job(engine, receiver.url("/hook"))
    assert await strict.send_due() == 1
    await strict.close()
    assert receiver.connections == 0


async def test_tries_are_counted_by_what_came_of_them(
    engine: Engine, sender: WebhookSender, receiver: Loopback
) -> None:
    receiver.status = 500
    await ended_job(engine, receiver.url("/hook"))
    for wait in RETRY_SECONDS:
        await sender.send_due()
        engine.clock.forward(seconds=wait)
    await sender.send_due()
    receiver.status = 200
    await ended_job(engine, receiver.url("/hook"))
    await sender.send_due()
    counted = {labels: value for (name, labels), value in engine.meters.take().items() if "webhook" in name}
    assert counted == {
        '{"outcome":"failed"}': len(RETRY_SECONDS),
        '{"outcome":"given_up"}': 1,
        '{"outcome":"delivered"}': 1,
    }
