"""Delivers messages about ended jobs, signed after the Standard Webhooks scheme."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from standardwebhooks import Webhook

from relume.jobs.models import WebhookDelivery
from relume.jobs.repository.deliveries import Deliveries
from relume.metrics import WEBHOOKS
from relume.outbound import UrlPolicy
from relume.ports import NO_METERS, Clock, Meters
from relume.telemetry import logger

log = logger(__name__)

RETRY_SECONDS = (5, 15, 45, 120, 300, 600, 1200, 1800, 3000)
"""Waits between the ten tries, a little under two hours in all."""
_SENDING = timedelta(seconds=60)
"""For this long a delivery belongs to the process that picked it up."""
_LOOK_SECONDS = 2.0


class WebhookSender:
    """Safe to run in several processes: each delivery is claimed before it is sent. At least once, never lost."""

    def __init__(
        self,
        deliveries: Deliveries,
        policy: UrlPolicy,
        clock: Clock,
        secret: str,
        meters: Meters = NO_METERS,
    ) -> None:
        self._deliveries = deliveries
        self._meters = meters
        self._policy = policy
        self._client = policy.client()
        self._clock = clock
        self._webhook = Webhook(secret)

    async def run_forever(self) -> None:
        while True:
            try:
                sent = await self.send_due()
            except Exception:
                log.exception("webhooks.fault")
                sent = 0
            if not sent:
                await asyncio.sleep(_LOOK_SECONDS)

    async def send_due(self) -> int:
        """Send what is due now. Returns how many were tried."""
        deliveries = await self._deliveries.due(self._clock.now(), _SENDING)
        await asyncio.gather(*(self._send(delivery) for delivery in deliveries))
        return len(deliveries)

    async def close(self) -> None:
        await self._client.aclose()

    async def _send(self, delivery: WebhookDelivery) -> None:
        status = await self._post(delivery)
        now = self._clock.now()
        if status is not None and 200 <= status < 300:
            await self._deliveries.update(delivery.id, last_status=status, delivered_at=now)
            self._meters.count(WEBHOOKS, outcome="delivered")
        elif delivery.tries > len(RETRY_SECONDS):
            log.warning("webhook.given_up", job_id=str(delivery.job_id), status=status)
            await self._deliveries.update(delivery.id, last_status=status, given_up_at=now)
            self._meters.count(WEBHOOKS, outcome="given_up")
        else:
            again = now + timedelta(seconds=RETRY_SECONDS[delivery.tries - 1])
            await self._deliveries.update(delivery.id, last_status=status, next_try_at=again)
            self._meters.count(WEBHOOKS, outcome="failed")

    async def _post(self, delivery: WebhookDelivery) -> int | None:
        """The receiver's status code, or None when it could not be reached."""
        now = self._clock.now()
        headers = {
            "Content-Type": "application/json",
            "webhook-id": str(delivery.id),
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": self._webhook.sign(str(delivery.id), now, delivery.body),
        }
        try:
            await self._policy.check(delivery.url)
            response = await self._client.post(delivery.url, content=delivery.body, headers=headers)
        except Exception as error:  # noqa: BLE001 (whatever it was, it is tried again)
            log.info("webhook.failed", job_id=str(delivery.job_id), cause=type(error).__name__)
            return None
        return response.status_code
