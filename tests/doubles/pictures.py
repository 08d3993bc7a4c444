"""The images that doubles make: really enlarged, and never the input itself."""

from __future__ import annotations

import base64
import io
from typing import Any

from PIL import Image, ImageEnhance, ImageFilter


def made_from(source: bytes, scale: float) -> bytes:
    """Enlarged and slightly sharpened, as PNG."""
    image = _opened(source)
    size = (max(round(image.width * scale), 1), max(round(image.height * scale), 1))
    grown = image.resize(size, Image.Resampling.BICUBIC)
    return _png(ImageEnhance.Contrast(grown.filter(ImageFilter.UnsharpMask(1, 60))).enhance(1.03))


def painted(width: int, height: int, seed: int) -> bytes:
    """A picture that depends on its seed, as PNG."""
    tone = Image.effect_mandelbrot((width, height), (-2, -1.5, 1, 1.5), 30 + seed % 20)
    return _png(Image.merge("RGB", (tone, tone.rotate(90).resize(tone.size), tone.rotate(180))))


def blank(source: bytes, scale: float) -> bytes:
    image = _opened(source)
    return _png(Image.new("RGB", (round(image.width * scale), round(image.height * scale))))


def from_data_uri(uri: str) -> bytes:
    return base64.b64decode(uri.partition(",")[2])


def to_data_uri(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _opened(source: bytes) -> Image.Image:
    with Image.open(io.BytesIO(source)) as image:
        return image.convert("RGB")


def _png(image: Image.Image, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG", compress_level=1, **options)
    return out.getvalue()


def encoded_as(data: bytes, extension: str) -> bytes:
    """The same picture as a file of another kind: `png`, `webp` or `jpg`."""
    if extension == "png":
        return data
    out = io.BytesIO()
    Image.open(io.BytesIO(data)).convert("RGB").save(out, "JPEG" if extension == "jpg" else extension)
    return out.getvalue()
