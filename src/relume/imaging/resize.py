"""Change a photo's size: Lanczos when it grows, area averaging when it shrinks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from relume.imaging.photo import Photo, Pixels

# Output rows worked on at a time: 256 rows of 16384 RGBA pixels in float32 take 67 MB.
_STRIP_ROWS = 256


def resize(photo: Photo, width: int, height: int) -> Photo:
    """The photo with exactly `width` x `height` pixels; bit depth, channels and metadata stay.

    Colours are weighted by alpha on the way, so that what lies under transparent pixels never bleeds into a
    visible edge. A side that shrinks is averaged first, then the other may grow.
    """
    shrunk = _shrink(photo, min(width, photo.width), min(height, photo.height))
    return _enlarge(shrunk, width, height)


def premultiplied(pixels: Pixels, alpha: Pixels | None) -> NDArray[np.float32]:
    """(height, width, channels [+ 1]) float32, 0 to 1: colours times alpha, alpha last where there is one."""
    white = np.float32(np.iinfo(pixels.dtype).max)
    values = pixels.astype(np.float32) / white
    if alpha is None:
        return values
    cover = alpha.astype(np.float32)[..., None] / white
    return np.concatenate([values * cover, cover], axis=2)


def unpremultiplied(values: NDArray[np.float32], like: Photo) -> tuple[Pixels, Pixels | None]:
    """Undo `premultiplied`: pixels and alpha, rounded and clipped to the dtype of `like`."""
    if like.alpha is None:
        return quantised(values, like.pixels.dtype), None
    cover = values[..., -1:]
    # Not clipped before the division: where alpha overshoots, the colours overshoot with it.
    colours = (values[..., :-1] / np.maximum(cover, np.float32(1e-6))).astype(np.float32, copy=False)
    return quantised(colours, like.pixels.dtype), quantised(cover[..., 0], like.pixels.dtype)


def quantised(values: NDArray[np.float32], dtype: np.dtype[Any]) -> Pixels:
    """Float 0 to 1 as integers of `dtype`: clipped and rounded to the nearest."""
    white = np.iinfo(dtype).max
    scaled = np.clip(values * np.float32(white), 0, white)
    pixels: Pixels = np.rint(scaled, out=scaled).astype(dtype)
    return pixels


def _shrink(photo: Photo, width: int, height: int) -> Photo:
    if (width, height) == (photo.width, photo.height):
        return photo
    values = premultiplied(photo.pixels, photo.alpha)
    small = cv2.resize(values, (width, height), interpolation=cv2.INTER_AREA)
    pixels, alpha = unpremultiplied(small.reshape(height, width, values.shape[2]).astype(np.float32), photo)
    return replace(photo, pixels=pixels, alpha=alpha)


def _enlarge(photo: Photo, width: int, height: int) -> Photo:
    if (width, height) == (photo.width, photo.height):
        return photo
    values = premultiplied(photo.pixels, photo.alpha)
    planes = [Image.fromarray(np.ascontiguousarray(values[..., index])) for index in range(values.shape[2])]
    pixels = np.empty((height, width, photo.pixels.shape[2]), photo.pixels.dtype)
    alpha = None if photo.alpha is None else np.empty((height, width), photo.pixels.dtype)
    for top in range(0, height, _STRIP_ROWS):
        bottom = min(top + _STRIP_ROWS, height)
        box = (0, top * photo.height / height, photo.width, bottom * photo.height / height)
        # Pillow reads past the box within the plane, so strips join without a seam.
        strip = [plane.resize((width, bottom - top), Image.Resampling.LANCZOS, box=box) for plane in planes]
        values = np.stack([np.asarray(plane, np.float32) for plane in strip], axis=-1)
        pixels[top:bottom], cover = unpremultiplied(values, photo)
        if alpha is not None:
            alpha[top:bottom] = cover
    return replace(photo, pixels=pixels, alpha=alpha)
