"""Small photos for tests, made in code."""

from __future__ import annotations

import io
from functools import cache
from typing import Any

import numpy as np
from PIL import Image
from skimage import data as samples


@cache
def picture(width: int = 64, height: int = 48) -> Image.Image:
    """A real photo, small."""
    sample = samples.astronaut()  # type: ignore[no-untyped-call]
    return Image.fromarray(sample).resize((width, height), Image.Resampling.LANCZOS)


def encoded(
    format_: str = "JPEG", width: int = 64, height: int = 48, mode: str = "RGB", **options: Any
) -> bytes:
    out = io.BytesIO()
    image = picture(width, height).convert(mode)
    if format_ == "HEIF":
        import pillow_heif

        pillow_heif.from_pillow(image).save(out, **options)
    else:
        image.save(out, format_, **options)
    return out.getvalue()


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def pixels(data: bytes) -> np.ndarray[Any, Any]:
    return np.asarray(opened(data))
