"""The calls of Replicate's HTTP API that Relume makes. A run is paid for when it is created, and never twice."""

from __future__ import annotations

import math
from collections.abc import Callable

from relume.errors import ProviderError
from relume.providers.prediction_http import PredictionHttp
from relume.providers.prediction_photos import ImageFile
from relume.providers.predictions import Prediction, parse
from relume.providers.replicate_models import Order

WHO = "Replicate"
_FILES_DOMAIN = "replicate.delivery"
_MAX_DATA_URI_BYTES = 256_000
"""Above it, Replicate wants files uploaded first."""
_CREATE_SECONDS, _CANCEL_SECONDS = 30.0, 10.0
_LEAST_CANCEL_AFTER_SECONDS = 5


class ReplicateClient:
    """Raises ProviderError and its kinds; nothing of httpx gets out."""

    def __init__(self, base_url: str, token: str) -> None:
        self._http = PredictionHttp(WHO, base_url, token=token, files_domain=_FILES_DOMAIN)

    async def aclose(self) -> None:
        await self._http.aclose()

    async def create(self, order: Order, image: str | None, remaining_seconds: float) -> Prediction:
        """Begin a run. Not for repeating: only a ProviderUnavailable or ProviderBusy says that none began.

        Replicate is asked to end it by itself after the remaining seconds, for when nobody is left to do so.
        """
        body: dict[str, object] = {"input": order.input | _image_input(order, image)}
        path = f"/v1/models/{order.model.address}/predictions"
        if order.model.version:
            path, body["version"] = "/v1/predictions", order.model.version
        cancel_after = max(math.ceil(remaining_seconds), _LEAST_CANCEL_AFTER_SECONDS)
        answer = await self._http.call(
            "POST",
            path,
            repeatable=False,
            seconds=min(_CREATE_SECONDS, remaining_seconds),
            headers={"Cancel-After": f"{cancel_after}s"},
            json=body,
        )
        return parse(answer, WHO)

    async def get(self, prediction_id: str) -> Prediction | None:
        """A run as it stands; None when Replicate has no such run, or has deleted what it made."""
        answer = await self._http.call(
            "GET", f"/v1/predictions/{prediction_id}", repeatable=True, absent_is_none=True
        )
        prediction = None if answer is None else parse(answer, WHO)
        return None if prediction is None or prediction.is_erased else prediction

    async def cancel(self, prediction_id: str) -> None:
        await self._http.call(
            "POST", f"/v1/predictions/{prediction_id}/cancel", repeatable=True, seconds=_CANCEL_SECONDS
        )

    async def image_input(self, image: ImageFile, remaining_seconds: float) -> str:
        """What stands for a photo in an input: a data URI, or the URL of an uploaded file."""
        if len(image.data) <= _MAX_DATA_URI_BYTES:
            return image.data_uri
        answer = await self._http.call(
            "POST",
            "/v1/files",
            repeatable=True,
            seconds=min(_CREATE_SECONDS, remaining_seconds),
            files={"content": (image.name, image.data, image.format.media_type)},
        )
        urls = answer.get("urls") if isinstance(answer, dict) else None
        url = urls.get("get") if isinstance(urls, dict) else None
        if not isinstance(url, str):
            raise ProviderError(f"{WHO} gave an answer we do not understand.")
        return url

    async def file(self, url: str, on_chunk: Callable[[], None]) -> bytes:
        return await self._http.file(url, on_chunk)


def _image_input(order: Order, image: str | None) -> dict[str, str]:
    return {} if order.image_field is None or image is None else {order.image_field: image}
