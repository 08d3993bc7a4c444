"""One task at Replicate, from the remembered or new prediction to the file it made."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from relume.errors import (
    JobCancelled,
    ProviderBusy,
    ProviderError,
    ProviderTimeout,
    ProviderUnavailable,
)
from relume.imaging.photo import Photo
from relume.ports import RunContext
from relume.providers.exchange import outgoing
from relume.providers.predictions import Prediction, check_succeeded, output_url
from relume.providers.replicate_client import WHO, ReplicateClient
from relume.providers.replicate_files import PhotoOnLoan
from relume.providers.replicate_models import Order
from relume.telemetry import logger

log = logger(__name__)

_DOWNLOAD_TRIES = 3
_TICK_SECONDS = 0.25
"""How soon a cancel is noticed while there is nothing to do but wait."""
_STARTING, _PROCESSING, _FINISHED = 0.05, 0.2, 0.9
"""Where the progress of a task stands at these points of a run."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How often a run is looked at: first after `first_seconds`, then often, then ever less often."""

    first_seconds: float = 1.5  # The quickest models take some 2 s; each look costs a processor 1.5 ms.
    next_seconds: float = 0.8
    growth: float = 1.15
    longest_seconds: float = 2.0

    def waits(self) -> Iterator[float]:
        yield self.first_seconds
        wait = min(self.next_seconds, self.longest_seconds)
        while True:
            yield wait
            wait = min(wait * self.growth, self.longest_seconds)


@dataclass(slots=True)
class ReplicateRun:
    """A prediction is remembered before it is waited for, so that no other process pays for a second one."""

    client: ReplicateClient
    provider: str
    step_name: str
    context: RunContext
    deadline: float
    pace: Pace
    reached: float = 0.0
    """The progress told so far: it never goes back."""
    latest: Prediction | None = None
    """The prediction as it was last seen, however the run went on."""
    photo: PhotoOnLoan = field(init=False)

    def __post_init__(self) -> None:
        self.photo = PhotoOnLoan(self.client, self.provider, self.context)

    async def finish(self, order: Order, photo: Photo | None) -> tuple[Prediction, bytes]:
        """The prediction that succeeded, and its first file. Raises ProviderError, or JobCancelled.

        However it ends, nothing of the photo is left there; only a run that goes on for another process keeps it.
        """
        try:
            finished = await self._finish(order, photo)
        except (ProviderError, JobCancelled):
            await self.photo.take_back()
            raise
        await self.photo.take_back()
        return finished

    async def _finish(self, order: Order, photo: Photo | None) -> tuple[Prediction, bytes]:
        prediction = await self._remembered() or await self._new(order, photo)
        try:
            check_succeeded(prediction, WHO)
            return prediction, await self._copy(output_url(prediction.output, WHO))
        except JobCancelled:
            await self.forget()
            raise
        except ProviderError as error:
            if not (error.can_pass or isinstance(error, ProviderTimeout)):
                await self.forget()
            raise

    async def forget(self) -> None:
        await self.context.external_ids.forget(self.context.step, self.provider)

    async def _remembered(self) -> Prediction | None:
        """The prediction that an earlier try of this step began, at its end; None if there is none."""
        id_ = await self.context.external_ids.recall(self.context.step, self.provider)
        if id_ is None:
            return None
        prediction = await self._wait(id_)
        if prediction is None:
            await self.forget()
        return prediction

    async def _new(self, order: Order, photo: Photo | None) -> Prediction:
        self._tell(0.0)
        image = None
        if photo is not None and order.image_field is not None:
            file = await self.context.in_thread(lambda: outgoing(photo))
            image = await self.photo.lend(file, self._remaining())
        begun = await self._create(order, image)
        ended = await self._wait(begun.id, is_new=True) if begun.is_running else begun
        if ended is None:
            await self.forget()
            raise ProviderError(f"{WHO} has lost our run.")
        return ended

    async def _create(self, order: Order, image: str | None) -> Prediction:
        """Once begun this goes on to its end, whoever is cancelled: else a paid run's id would be lost."""
        creating = asyncio.ensure_future(self._create_and_remember(order, image))
        try:
            return await asyncio.shield(creating)
        except asyncio.CancelledError:
            with contextlib.suppress(Exception):
                await creating
            raise

    async def _create_and_remember(self, order: Order, image: str | None) -> Prediction:
        self._tell(0.0)
        prediction = self.latest = await self.client.create(order, image, self._remaining())
        try:
            await self.context.external_ids.remember(self.context.step, self.provider, prediction.id)
        except Exception:
            await self._cancel(prediction.id)  # Nobody could ever ask for it.
            raise
        return prediction

    async def _wait(self, id_: str, *, is_new: bool = False) -> Prediction | None:
        """Look at a prediction until it has ended; None when Replicate no longer has it.

        Cancelled or too late, it is cancelled there too. What goes wrong on the way to it can pass, and is
        waited out.
        """
        try:
            if is_new:
                await self._pause(self.pace.first_seconds)  # It has just said that it is running.
            for pause in self.pace.waits():
                self._tell(_STARTING)
                async with asyncio.timeout(self._remaining()):
                    prediction, pause_seconds = await self._look(id_, pause)
                    if prediction is None or not prediction.is_running:
                        return prediction
                    self._tell(_fraction(prediction))
                    await self._pause(pause_seconds)
        except JobCancelled:
            await self._abandon(id_)
            raise
        except (TimeoutError, ProviderTimeout) as error:
            await self._abandon(id_)
            raise ProviderTimeout(f"{WHO} did not finish in time.") from error
        raise AssertionError("a pace never ends")

    async def _look(self, id_: str, pause: float) -> tuple[Prediction | None, float]:
        """The prediction, and how long to wait before the next look. Unreachable counts as still running."""
        try:
            prediction = await self.client.get(id_)
        except (ProviderUnavailable, ProviderBusy) as error:
            log.info("replicate.look_failed", prediction=id_, cause=repr(error.__cause__))
            retry_after = float(error.extra.get("retry_after_seconds", 0.0))
            return Prediction(id_, "starting"), max(pause, retry_after)
        self.latest = prediction or self.latest
        return prediction, pause

    async def _pause(self, seconds: float) -> None:
        """Sleep, and notice a cancel meanwhile: a provider may ask for half a minute."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            await asyncio.sleep(min(left, _TICK_SECONDS))
            self._tell(self.reached)

    async def _copy(self, url: str) -> bytes:
        """The output, which Replicate deletes after an hour. What can pass is tried again."""
        for pause, _ in zip(self.pace.waits(), range(_DOWNLOAD_TRIES - 1), strict=False):
            try:
                return await self._download(url)
            except ProviderUnavailable:
                await self._pause(pause)
        return await self._download(url)

    async def _download(self, url: str) -> bytes:
        try:
            async with asyncio.timeout(self._remaining()):
                return await self.client.file(url, lambda: self._tell(_FINISHED))
        except TimeoutError as error:
            raise ProviderTimeout(f"{WHO} did not hand over its result in time.") from error

    async def _abandon(self, id_: str) -> None:
        await self._cancel(id_)
        await self.forget()

    async def _cancel(self, id_: str) -> None:
        """As far as Replicate listens: `Cancel-After` ends what this does not reach."""
        try:
            self.latest = await self.client.cancel(id_)
            if self.latest.predict_seconds is None:  # It is told when the machine has let go of it.
                self.latest = await self.client.get(id_) or self.latest
        except ProviderError as error:
            log.warning("replicate.cancel_failed", prediction=id_, cause=repr(error.__cause__))

    def _tell(self, fraction: float) -> None:
        """Raises JobCancelled."""
        self.reached = max(self.reached, fraction)
        self.context.progress(self.reached, self.step_name)

    def _remaining(self) -> float:
        """Seconds until the deadline. Raises ProviderTimeout when it has passed."""
        remaining = self.deadline - time.monotonic()
        if remaining <= 0:
            raise ProviderTimeout(f"{WHO} did not finish in time.")
        return remaining


def _fraction(prediction: Prediction) -> float:
    if prediction.status == "starting":
        return _STARTING
    return _PROCESSING + (_FINISHED - _PROCESSING) * prediction.percent / 100
