"""The mock provider: plain coloured pictures that say MOCK. For demonstrations without any account."""

from __future__ import annotations

import asyncio
import colorsys
import hashlib
import random
import textwrap
from dataclasses import dataclass
from typing import Self, cast

import anyio.to_thread
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from relume.errors import ProviderUnavailable
from relume.imaging.photo import ImageFormat, Metadata, Photo, Pixels
from relume.imaging.resize import resize
from relume.ports import Result, RunContext
from relume.settings import Settings
from relume.tasks import Cartoonify, GenerateText, RestoreFaces, Task, TextToImage, Upscale

MOCK_TOKEN = "mock_token_for_demo"  # noqa: S105 (no secret: it selects mock mode)
_TICK_SECONDS = 0.1
_PROMPT_WORDS = 12
_NO_LETTER = 128
_PHOTO_TASKS = (RestoreFaces, Upscale, Cartoonify)


@dataclass(frozen=True, slots=True)
class MockMode:
    """How a pretended service behaves: seconds it takes, and how often it fails (0 to 1)."""

    delay_min_seconds: float
    delay_max_seconds: float
    failure_rate: float


class MockProvider:
    """Without a `mode` it is the labelled last resort for pictures from prompts: at once, and without fail.

    With one it stands in for a hosted service altogether, delays and failures included.
    """

    name = "mock"
    is_local = True
    needs_device = False

    def __init__(
        self,
        mode: MockMode | None = None,
        *,
        is_chosen: bool = False,
        rng: random.Random | None = None,
    ) -> None:
        """`is_chosen` says that the operator wants nobody else."""
        self._mode = mode
        self._is_chosen = is_chosen
        self._rng = rng or random.Random()  # noqa: S311 (no secret depends on it)

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        token = settings.replicate_api_token
        if token is None or token.get_secret_value() != MOCK_TOKEN:
            return cls(is_chosen=settings.provider == cls.name)
        return cls(
            MockMode(
                settings.replicate_mock_delay_min,
                settings.replicate_mock_delay_max,
                settings.replicate_mock_failure_rate,
            )
        )

    def supports(self, task: Task) -> bool:
        if isinstance(task, TextToImage):
            return self._mode is not None or self._is_chosen or not task.exact_model
        return self._mode is not None and isinstance(task, (*_PHOTO_TASKS, GenerateText))

    def estimate_usd(self, task: Task) -> float:
        del task
        return 0.0

    def unavailable(self) -> str | None:
        return None

    async def run(self, task: Task, photo: Photo | None, context: RunContext) -> Result:
        if self._mode is not None:
            await self._pretend(self._mode, task.name, context)
        context.progress(0.9, task.name)
        if isinstance(task, GenerateText):
            return self._result(text=f"MOCK: a text about “{_first_words(task.prompt)}”")
        if isinstance(task, TextToImage):
            return self._result(photo=await anyio.to_thread.run_sync(lambda: _picture(task)))
        assert photo is not None  # noqa: S101 (all other tasks it supports are about a photo)
        scale = getattr(task, "scale", 1)
        return self._result(photo=await anyio.to_thread.run_sync(lambda: _labelled(photo, scale)))

    async def _pretend(self, mode: MockMode, step: str, context: RunContext) -> None:
        """Take as long as a service would, and fail as often."""
        seconds = self._rng.uniform(mode.delay_min_seconds, mode.delay_max_seconds)
        fails = self._rng.random() < mode.failure_rate
        ticks = max(round(seconds / _TICK_SECONDS), 1)
        for tick in range(ticks):
            context.progress(tick / ticks, step)
            await asyncio.sleep(seconds / ticks)
        if fails:
            raise ProviderUnavailable("The mock service failed, as it is set to do at times.")

    def _result(self, photo: Photo | None = None, text: str | None = None) -> Result:
        return Result(photo=photo, text=text, provider=self.name, model="Mock", version="1")


def _picture(task: TextToImage) -> Photo:
    image = Image.new("RGB", (task.width, task.height), _colour(f"{task.seed} {task.prompt}"))
    _write(image, _first_words(task.prompt))
    return Photo(np.asarray(image), None, Metadata(), ImageFormat.PNG)


def _labelled(photo: Photo, scale: int) -> Photo:
    """The photo at its new size, with MOCK written over it."""
    resized = resize(photo, photo.width * scale, photo.height * scale)
    label = Image.new("L", (resized.width, resized.height), _NO_LETTER)
    _write(label, outline=0)
    shade = np.asarray(label)[:, :, None]
    pixels = np.where(shade == 255, resized.white, np.where(shade < _NO_LETTER, 0, resized.pixels))
    return resized.with_pixels(cast("Pixels", pixels.astype(resized.pixels.dtype)))


def _colour(text: str) -> tuple[int, int, int]:
    """A hue of its own for each text, the same one each time; dark enough for white letters."""
    hue = hashlib.sha256(text.encode("utf-8", "replace")).digest()[0] / 256
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.6, 0.55)
    return round(red * 255), round(green * 255), round(blue * 255)


def _write(image: Image.Image, caption: str = "", outline: int | None = None) -> None:
    """MOCK in white letters over four fifths of the width, and the caption in small ones below."""
    draw = ImageDraw.Draw(image)
    size = min(image.width * 0.3, image.height * 0.6)
    middle = (image.width / 2, image.height * 0.45)
    stroke = 0 if outline is None else max(size / 16, 1)
    draw.text(
        middle,
        "MOCK",
        fill="white",
        font=_font(size),
        anchor="mm",
        stroke_width=stroke,
        stroke_fill=outline,
    )
    if caption:
        lines = textwrap.wrap(caption, 40, max_lines=3, placeholder=" …")
        below = (image.width / 2, image.height * 0.7)
        small = _font(image.width * 0.04)
        draw.multiline_text(below, "\n".join(lines), fill="white", font=small, anchor="ma", align="center")


def _font(size: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(max(size, 1.0))


def _first_words(prompt: str) -> str:
    return " ".join(prompt.split()[:_PROMPT_WORDS])
