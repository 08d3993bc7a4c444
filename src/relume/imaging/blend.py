"""Mixing a restoration over its original: what `strength` means, for every provider alike."""

from __future__ import annotations

from typing import cast

import cv2
import numpy as np

from relume.imaging.photo import Photo, Pixels
from relume.imaging.resize import resize

_ROWS = 256
"""Rows mixed at a time: keeps the float copy of a 16384-pixel-wide result under 100 MB."""


def blend(original: Photo, restored: Photo, strength: float) -> Photo:
    """`strength` of `restored` over `1 - strength` of `original`, at the size of `restored`.

    The original is resized first where the sizes differ. Transparency is taken from `restored`.
    A greyscale original never gains colour, and a greyscale result of a colour photo keeps none.
    """
    if strength >= 1.0 or restored is original:
        return restored
    base = resize(original, restored.width, restored.height)
    return restored.with_pixels(_mix(_like(base, restored), restored.pixels, strength))


def _like(base: Photo, restored: Photo) -> Pixels:
    """The base's pixels with the channels and depth of the restored photo."""
    pixels = base.pixels
    if base.is_greyscale and not restored.is_greyscale:
        pixels = cast("Pixels", np.repeat(pixels, 3, axis=2))
    elif restored.is_greyscale and not base.is_greyscale:
        pixels = cast("Pixels", cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)[:, :, np.newaxis])
    if pixels.dtype != restored.pixels.dtype:
        factor = restored.white / base.white
        pixels = cast("Pixels", np.rint(pixels * factor).astype(restored.pixels.dtype))
    return pixels


def _mix(base: Pixels, restored: Pixels, strength: float) -> Pixels:
    mixed = np.empty_like(restored)
    for top in range(0, restored.shape[0], _ROWS):
        rows = slice(top, top + _ROWS)
        part = base[rows].astype(np.float32)
        part += strength * (restored[rows].astype(np.float32) - part)
        mixed[rows] = np.rint(part)
    return mixed
