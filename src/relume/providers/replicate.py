"""Replicate as a provider: models on somebody else's GPUs, paid by the second."""

from __future__ import annotations

import time
from typing import Self

import anyio
import anyio.to_thread

from relume.errors import OutputInvalid, ProviderError
from relume.imaging.photo import Photo
from relume.ports import Result, RunContext
from relume.providers.prediction_photos import adopt, open_result
from relume.providers.prices import estimate, settle
from relume.providers.replicate_client import WHO, ReplicateClient
from relume.providers.replicate_models import order_for
from relume.providers.replicate_run import Pace, ReplicateRun
from relume.settings import Settings
from relume.tasks import Task

MOCK_TOKEN = "mock_token_for_demo"  # noqa: S105 (a public word, which asks for the mock provider)
_CODECS = 2
"""How many photos are encoded or decoded at once, and with it the memory they take."""


class ReplicateProvider:
    """Runs one prediction for a task, remembers it before waiting on it, and copies what it made.

    `timeout_seconds` is for runs whose context has no deadline.
    """

    name = "replicate"
    is_local = False
    needs_device = False

    def __init__(
        self,
        token: str | None,
        base_url: str = "https://api.replicate.com",
        *,
        timeout_seconds: float = 120,
        pace: Pace | None = None,
    ) -> None:
        self._token = token
        self._client = ReplicateClient(base_url, token or "")
        self._timeout_seconds = timeout_seconds
        self._pace = pace or Pace()
        self._codecs = anyio.CapacityLimiter(_CODECS)

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        token = settings.replicate_api_token
        return cls(
            token.get_secret_value() if token else None,
            settings.replicate_base_url,
            timeout_seconds=settings.provider_timeout_seconds,
        )

    async def aclose(self) -> None:
        await self._client.aclose()

    def supports(self, task: Task) -> bool:
        return order_for(task) is not None

    def estimate_usd(self, task: Task) -> float:
        order = order_for(task)
        return (estimate(order.model.address) or 0.0) if order else 0.0

    def unavailable(self) -> str | None:
        if not self._token:
            return "REPLICATE_API_TOKEN is not set"
        return "mock mode" if self._token == MOCK_TOKEN else None

    async def run(self, task: Task, photo: Photo | None, context: RunContext) -> Result:
        """Raises ProviderError and its kinds, or JobCancelled."""
        order = order_for(task)
        if order is None:
            raise ProviderError(f"{WHO} has no model for this.")
        run = ReplicateRun(
            self._client, self.name, task.name, context, self._deadline(context), self._pace, self._codecs
        )
        prediction, data = await run.finish(order, photo)
        original = photo if order.image_field else None
        try:
            made = await anyio.to_thread.run_sync(_open, original, data, limiter=self._codecs)
        except OutputInvalid:
            await run.forget()  # To ask for it again would give the same.
            raise
        return Result(
            photo=made,
            provider=self.name,
            model=order.model.family,
            version=order.model.short_version,
            generative=True,
            external_id=prediction.id,
            cost_usd=settle(order.model.address, prediction.predict_seconds),
        )

    def _deadline(self, context: RunContext) -> float:
        if context.deadline is not None:
            return context.deadline
        return time.monotonic() + self._timeout_seconds


def _open(original: Photo | None, data: bytes) -> Photo:
    made = open_result(data, WHO)
    return made if original is None else adopt(original, made, WHO)
