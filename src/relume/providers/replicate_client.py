"""The calls of Replicate's HTTP API that Relume makes. A run is paid for when it is created, and never twice."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

from relume.errors import ProviderError
from relume.providers.exchange import ImageFile
from relume.providers.prediction_http import PredictionHttp
from relume.providers.predictions import Prediction, parse
from relume.providers.replicate_models import Order

WHO = "Replicate"
_FILES_DOMAIN = "replicate.delivery"
_CREATE_SECONDS, _TIDY_SECONDS = 30.0, 5.0
_LEAST_CANCEL_AFTER_SECONDS = 5
_FILE_ID = re.compile(r"[\w.=-]{1,100}", re.ASCII)


@dataclass(frozen=True, slots=True)
class UploadedFile:
    id: str
    url: str


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

    async def cancel(self, prediction_id: str) -> Prediction:
        """The run as it stands after that: how long it ran may be told only by a later look."""
        answer = await self._http.call(
            "POST", f"/v1/predictions/{prediction_id}/cancel", repeatable=True, seconds=_TIDY_SECONDS
        )
        return parse(answer, WHO)

    async def upload(self, image: ImageFile, remaining_seconds: float) -> UploadedFile:
        answer = await self._http.call(
            "POST",
            "/v1/files",
            repeatable=True,
            seconds=min(_CREATE_SECONDS, remaining_seconds),
            files={"content": (image.name, image.data, image.format.media_type)},
        )
        try:
            id_, url = answer["id"], answer["urls"]["get"]
        except (LookupError, TypeError) as error:
            raise ProviderError(f"{WHO} gave an answer we do not understand.") from error
        if not (isinstance(url, str) and isinstance(id_, str) and _FILE_ID.fullmatch(id_)):
            raise ProviderError(f"{WHO} gave an answer we do not understand.")
        return UploadedFile(id_, url)

    async def delete_file(self, file_id: str) -> None:
        """One that is gone already is no error."""
        await self._http.call(
            "DELETE", f"/v1/files/{file_id}", repeatable=True, seconds=_TIDY_SECONDS, absent_is_none=True
        )

    async def file(self, url: str, on_chunk: Callable[[], None]) -> bytes:
        return await self._http.file(url, on_chunk)


def _image_input(order: Order, image: str | None) -> dict[str, str]:
    return {} if order.image_field is None or image is None else {order.image_field: image}
