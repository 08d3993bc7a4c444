"""What tests of hosted providers share."""

from __future__ import annotations

import numpy as np

from relume.imaging.decode import decode
from relume.imaging.limits import WIDE
from relume.imaging.photo import ImageFormat, Metadata, Photo
from tests import photos


class MemoryIds:
    """Remembered runs, and everything that happened to them."""

    def __init__(self, **ids: str) -> None:
        self.ids = dict(ids)
        self.events: list[str] = []

    async def recall(self, step: int, provider: str) -> str | None:
        del step
        return self.ids.get(provider)

    async def remember(self, step: int, provider: str, external_id: str) -> None:
        del step
        self.events.append("remember")
        self.ids[provider] = external_id

    async def forget(self, step: int, provider: str) -> None:
        del step
        self.events.append("forget")
        self.ids.pop(provider, None)


def photo(width: int = 64, height: int = 48, mode: str = "RGB") -> Photo:
    return decode(photos.encoded("PNG", width, height, mode), WIDE)


def noise(width: int, height: int) -> Photo:
    """Pixels that no PNG makes smaller."""
    pixels = np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)
    return Photo(pixels, metadata=Metadata(exif=b"MM\0*secret place"), source_format=ImageFormat.JPEG)
