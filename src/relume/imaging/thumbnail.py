"""Photos made smaller for a screen: upright, without metadata, in a format that every browser shows."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple, cast

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from relume.imaging.decode import decode
from relume.imaging.encode import encode
from relume.imaging.limits import WIDE
from relume.imaging.photo import ImageFormat, Metadata, Photo, Pixels
from relume.imaging.provenance import mark_alone

SIZES = (160, 320, 640, 1280, 2048, 4096)
"""Pixels of the longest side. Others are rounded up to one of these, so that caches hold few of each photo."""
SHOWN_BY_BROWSERS = frozenset(
    {
        ImageFormat.JPEG,
        ImageFormat.PNG,
        ImageFormat.WEBP,
        ImageFormat.GIF,
        ImageFormat.AVIF,
        ImageFormat.BMP,
    }
)
_SMALL_QUALITY, _LARGE_QUALITY = 85, 92
_LARGE_FROM = 1280
_WEBP_MAX_SIDE = 16383
_BYTES_A_PIXEL = 16
"""Held while a photo is scaled: what the decoder gives, our pixels with alpha, and a copy of both to scale."""


class Picture(NamedTuple):
    """A file to be shown."""

    data: bytes
    format: ImageFormat


def snapped(size: int) -> int:
    """The smallest of `SIZES` that is at least `size` pixels, or the largest."""
    return next((step for step in SIZES if step >= size), SIZES[-1])


def held_bytes(format_: ImageFormat, width: int, height: int, longest: int | None) -> int:
    """About how much memory `thumbnail` takes for a photo beyond its file."""
    pixels = width * height
    if format_ is ImageFormat.JPEG and longest is not None:
        fits = max(width, height) // longest
        pixels //= next((step * step for step in (8, 4, 2) if fits >= step), 1)
    return pixels * _BYTES_A_PIXEL


def thumbnail(data: bytes, longest: int | None) -> Picture:
    """A photo with at most `longest` pixels in width and height, never enlarged; at full size for None.

    JPEG, or WebP where something is transparent. Of the metadata it keeps the colour profile, and the mark that
    says AI took part. Raises ImageUnreadable and what else `decode` raises.
    """
    photo = _plain(decode(data, WIDE, longest))
    if longest is not None and max(photo.width, photo.height) > longest:
        photo = _shrunk(photo, longest)
    return _encoded(photo)


def _plain(photo: Photo) -> Photo:
    """Without what nobody sees: metadata, and alpha that hides nothing."""
    mark = mark_alone(photo.metadata.xmp) if photo.metadata.xmp else None
    kept = Metadata(icc_profile=photo.metadata.icc_profile, xmp=mark)
    is_opaque = photo.alpha is not None and int(photo.alpha.min()) == photo.white
    return replace(photo, alpha=None if is_opaque else photo.alpha, metadata=kept)


def _shrunk(photo: Photo, longest: int) -> Photo:
    scale = longest / max(photo.width, photo.height)
    width, height = max(round(photo.width * scale), 1), max(round(photo.height * scale), 1)
    if photo.alpha is None:
        small = cv2.resize(photo.pixels, (width, height), interpolation=cv2.INTER_AREA)
        return replace(photo, pixels=cast("Pixels", small.reshape(height, width, photo.pixels.shape[2])))
    together = np.concatenate([_eight_bit(photo.pixels), _eight_bit(photo.alpha)[..., None]], axis=2)
    # Pillow weights colours by alpha on the way.
    image = Image.fromarray(together).resize((width, height), Image.Resampling.LANCZOS, reducing_gap=2.0)
    samples = np.asarray(image)
    return replace(photo, pixels=samples[..., :-1], alpha=samples[..., -1])


def _eight_bit(samples: NDArray[np.uint8] | NDArray[np.uint16]) -> NDArray[np.uint8]:
    return cast(
        "NDArray[np.uint8]", samples if samples.dtype == np.uint8 else (samples >> 8).astype(np.uint8)
    )


def _encoded(photo: Photo) -> Picture:
    longest = max(photo.width, photo.height)
    quality = _LARGE_QUALITY if longest >= _LARGE_FROM else _SMALL_QUALITY
    format_ = ImageFormat.JPEG
    if photo.alpha is not None:
        format_ = ImageFormat.WEBP if longest <= _WEBP_MAX_SIDE else ImageFormat.PNG
    return Picture(encode(photo, format_, quality), format_)
