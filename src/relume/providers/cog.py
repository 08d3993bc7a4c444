"""Cog as a provider: Replicate's models in containers of one's own.

Cog has no way to ask how a prediction stands: it is answered when the prediction has ended, or told to a
webhook, and forgotten. So the call is held open for as long as the prediction runs. Where the connection
breaks, Cog cancels the prediction by itself; it costs nothing, and a new try simply begins a new one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self
from uuid import uuid4

from relume.errors import JobCancelled, ProviderError, ProviderTimeout
from relume.imaging.photo import Photo
from relume.ports import Result, RunContext
from relume.providers.exchange import incoming, outgoing
from relume.providers.prediction_http import PredictionHttp
from relume.providers.predictions import Prediction, check_succeeded, output_url, parse
from relume.providers.replicate_models import order_for
from relume.settings import Settings
from relume.tasks import RestoreFaces, Task, Upscale
from relume.telemetry import logger

log = logger(__name__)

WHO = "The Cog server"
_LOOK_SECONDS = 0.25
_CANCEL_SECONDS = 5.0
_RUNNING, _FINISHED = 0.3, 0.9
"""Where the progress of a task stands at these points of a prediction."""


class CogProvider:
    """Restores faces and upscales at the servers of `urls`, by task name.

    `timeout_seconds` is for runs whose context has no deadline.
    """

    name = "cog"
    is_local = False
    needs_device = False

    def __init__(self, urls: Mapping[str, str], *, timeout_seconds: float = 120) -> None:
        self._servers = {task: PredictionHttp(WHO, url) for task, url in urls.items()}
        self._timeout_seconds = timeout_seconds

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        urls = {RestoreFaces.name: settings.cog_faces_url, Upscale.name: settings.cog_upscale_url}
        given = {task: url for task, url in urls.items() if url is not None}
        return cls(given, timeout_seconds=settings.provider_timeout_seconds)

    async def aclose(self) -> None:
        for server in self._servers.values():
            await server.aclose()

    def supports(self, task: Task) -> bool:
        return task.name in self._servers and order_for(task) is not None

    def estimate_usd(self, task: Task) -> float:
        del task
        return 0.0

    def unavailable(self) -> str | None:
        return None if self._servers else "neither COG_FACES_URL nor COG_UPSCALE_URL is set"

    async def run(self, task: Task, photo: Photo | None, context: RunContext) -> Result:
        """Raises ProviderError and its kinds, or JobCancelled."""
        order = order_for(task) if task.name in self._servers else None
        if order is None or order.image_field is None or photo is None:
            raise ProviderError(f"{WHO} has no model for this.")
        call = _Call(self._servers[task.name], task.name, context, self._deadline(context))
        context.progress(0.0, task.name)
        file = await context.in_thread(lambda: outgoing(photo))
        prediction = await call.predict(order.input | {order.image_field: file.data_uri})
        data = await call.output(prediction)
        made = await context.in_thread(lambda: incoming(data, photo, WHO))
        return Result(
            photo=made,
            provider=self.name,
            model=order.model.family,
            version="self-hosted",
            generative=True,
        )

    def _deadline(self, context: RunContext) -> float:
        if context.deadline is not None:
            return context.deadline
        return time.monotonic() + self._timeout_seconds


@dataclass(frozen=True, slots=True)
class _Call:
    """One prediction at one server."""

    server: PredictionHttp
    step_name: str
    context: RunContext
    deadline: float

    async def predict(self, asked: Mapping[str, object]) -> Prediction:
        """The prediction at its end, which is success. Raises ProviderError, or JobCancelled."""
        id_ = uuid4().hex
        calling = asyncio.ensure_future(
            self.server.call(
                "PUT",
                f"/predictions/{id_}",
                repeatable=True,
                seconds=self._remaining() + _LOOK_SECONDS,
                json={"input": asked},
            )
        )
        try:
            while not calling.done():
                await asyncio.wait([calling], timeout=min(_LOOK_SECONDS, self._remaining()))
                self.context.progress(_RUNNING, self.step_name)
        except (JobCancelled, ProviderTimeout):
            await self._cancel(id_)
            raise
        finally:
            calling.cancel()
            await asyncio.gather(calling, return_exceptions=True)
        return _ended(parse(calling.result(), WHO, default_id=id_))

    async def output(self, prediction: Prediction) -> bytes:
        url = output_url(prediction.output, WHO)
        try:
            async with asyncio.timeout(self._remaining()):
                return await self.server.file(url, lambda: self.context.progress(_FINISHED, self.step_name))
        except TimeoutError as error:
            raise ProviderTimeout(f"{WHO} did not hand over its result in time.") from error

    async def _cancel(self, id_: str) -> None:
        """As far as it listens: it notices the end of the connection too."""
        try:
            await self.server.call(
                "POST", f"/predictions/{id_}/cancel", repeatable=True, seconds=_CANCEL_SECONDS
            )
        except ProviderError as error:
            log.info("cog.cancel_failed", prediction=id_, cause=repr(error.__cause__))

    def _remaining(self) -> float:
        """Seconds until the deadline. Raises ProviderTimeout when it has passed."""
        remaining = self.deadline - time.monotonic()
        if remaining <= 0:
            raise ProviderTimeout(f"{WHO} did not finish in time.")
        return remaining


def _ended(prediction: Prediction) -> Prediction:
    """Raises ProviderError for an answer before the end, or another end than success."""
    if prediction.is_running:
        raise ProviderError(f"{WHO} gave an answer we do not understand.")
    check_succeeded(prediction, WHO)
    return prediction
