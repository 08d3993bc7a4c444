"""Pictures from prompts by Hugging Face's inference providers, through their own client.

The client picks which company serves a model, and knows each one's API. Even its asyncio flavour looks that up
with blocking requests, so the plain one works in a thread. It talks by httpx2, whose errors httpx's do not cover.
"""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING

import anyio.to_thread
import httpx2
from huggingface_hub import InferenceClient
from huggingface_hub.errors import HfHubHTTPError, InferenceTimeoutError
from PIL import UnidentifiedImageError

from relume.errors import (
    OutputInvalid,
    ProviderError,
    ProviderRefused,
    ProviderTimeout,
    ProviderUnavailable,
)
from relume.imaging.photo import Photo
from relume.providers.exchange import drawn
from relume.providers.hosted import Wait, failure
from relume.tasks import TextToImage

if TYPE_CHECKING:
    from PIL.Image import Image

_SERVICE = "Hugging Face"
# The client takes a URL for a model too, and would send the token there.
_MODEL = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)
_MAX_PIXELS = 4096 * 4096


class InferenceProviders:
    def __init__(self, token: str) -> None:
        self._token = token

    async def picture(self, task: TextToImage, model: str, wait: Wait) -> Photo:
        """A picture of exactly the wanted size. Raises ProviderError."""
        if not _MODEL.fullmatch(model):
            raise ProviderRefused("Hugging Face knows models as 'owner/name'.")
        data = await wait.until_done(
            anyio.to_thread.run_sync(
                lambda: self._asked(task, model, wait.remaining_seconds), abandon_on_cancel=True
            )
        )
        return await wait.context.in_thread(lambda: drawn(data, task.width, task.height, _SERVICE))

    def _asked(self, task: TextToImage, model: str, timeout_seconds: float) -> bytes:
        client = InferenceClient(provider="auto", token=self._token, timeout=timeout_seconds)
        try:
            image = client.text_to_image(
                task.prompt, model=model, width=task.width, height=task.height, **task.options()
            )
            return _encoded(image)
        except ProviderError:
            raise
        except Exception as error:  # One table below knows them.
            raise translated(error) from error


def _encoded(image: Image) -> bytes:
    """The client's lazily opened image, for our own decoder to look at."""
    if image.width * image.height > _MAX_PIXELS:
        raise OutputInvalid(f"{_SERVICE} gave a picture that is too large.")
    file = io.BytesIO()
    image.convert("RGB").save(file, "PNG", compress_level=1)
    return file.getvalue()


def translated(error: Exception) -> ProviderError:
    """Ours for one of the client's. Order matters: some are subclasses of several built-in errors."""
    if isinstance(error, HfHubHTTPError):
        return failure(error.response.status_code, error.response.headers, _SERVICE)
    if isinstance(error, InferenceTimeoutError | httpx2.TimeoutException):
        return ProviderTimeout(f"{_SERVICE} did not answer in time.")
    if isinstance(error, httpx2.HTTPError):
        return ProviderUnavailable(f"{_SERVICE} is not available.")
    if isinstance(error, UnidentifiedImageError | OSError | LookupError | TypeError):
        return OutputInvalid(f"{_SERVICE} gave no picture.")
    return ProviderRefused(f"{_SERVICE} does not serve this model.")
