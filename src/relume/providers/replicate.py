"""Replicate as a provider: models on somebody else's GPUs, paid by the second."""

from __future__ import annotations

import time
from typing import Self

from relume.errors import JobCancelled, OutputInvalid, ProviderError
from relume.imaging.photo import Photo
from relume.ports import Result, RunContext, Spent
from relume.providers.exchange import drawn, incoming
from relume.providers.predictions import Prediction
from relume.providers.prices import estimate, settle, settle_failed
from relume.providers.replicate_client import WHO, ReplicateClient
from relume.providers.replicate_models import HostedModel, order_for
from relume.providers.replicate_run import Pace, ReplicateRun
from relume.settings import Settings
from relume.tasks import Task, TextToImage

MOCK_TOKEN = "mock_token_for_demo"  # noqa: S105 (a public word, which asks for the mock provider)


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
        """Raises ProviderError and its kinds, or JobCancelled. What was paid for by then is their `spent`."""
        order = order_for(task)
        if order is None:
            raise ProviderError(f"{WHO} has no model for this.")
        run = ReplicateRun(self._client, self.name, task.name, context, self._deadline(context), self._pace)
        try:
            prediction, data = await run.finish(order, photo)
            made = await self._opened(task, photo, data, run)
        except (ProviderError, JobCancelled) as error:
            if run.latest is not None:
                error.extra["spent"] = _spent(order.model, run.latest)
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

    async def _opened(self, task: Task, photo: Photo | None, data: bytes, run: ReplicateRun) -> Photo:
        try:
            return await run.context.in_thread(lambda: _open(task, photo, data))
        except OutputInvalid:
            await run.forget()  # To ask for it again would give the same.
            raise

    def _deadline(self, context: RunContext) -> float:
        if context.deadline is not None:
            return context.deadline
        return time.monotonic() + self._timeout_seconds


def _open(task: Task, photo: Photo | None, data: bytes) -> Photo:
    if isinstance(task, TextToImage):
        return drawn(data, task.width, task.height, WHO)
    assert photo is not None  # noqa: S101 (the other tasks it supports are about a photo)
    return incoming(data, photo, WHO)


def _spent(model: HostedModel, prediction: Prediction) -> Spent:
    settled = settle if prediction.status == "succeeded" else settle_failed
    return Spent(
        model=model.family,
        version=model.short_version,
        external_id=prediction.id,
        cost_usd=settled(model.address, prediction.predict_seconds),
    )
