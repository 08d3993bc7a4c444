"""Pixels as float32 levels, 0 to 255 whatever the bit depth, which every measure and step here works in."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from relume.imaging.photo import Photo, Pixels

Levels = NDArray[np.float32]
Mask = NDArray[np.bool_]

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def to_levels(pixels: Pixels) -> Levels:
    """Integers as float32 of the same shape; 65535 becomes 255."""
    return pixels.astype(np.float32) * np.float32(255 / np.iinfo(pixels.dtype).max)


def from_levels(levels: Levels, dtype: np.dtype[Any]) -> Pixels:
    """Undo `to_levels`: clipped, and rounded to the nearest value of `dtype`."""
    white = np.iinfo(dtype).max
    scaled = np.clip(levels * np.float32(white / 255), 0, white)
    pixels: Pixels = np.rint(scaled, out=scaled).astype(dtype)
    return pixels


def luma(levels: Levels) -> Levels:
    """(height, width, 1 or 3) to (height, width): Rec. 601 luma."""
    return levels[..., 0] if levels.shape[-1] == 1 else levels @ _LUMA


def shrunk(pixels: Pixels, longest_side: int) -> Pixels:
    """Averaged over areas until no side is longer than `longest_side`; smaller ones come back as they are."""
    height, width, channels = pixels.shape
    factor = longest_side / max(height, width)
    if factor >= 1:
        return pixels
    size = max(1, round(width * factor)), max(1, round(height * factor))
    small: Any = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    result: Pixels = small.reshape(size[1], size[0], channels)
    return result


def visible(photo: Photo) -> Mask:
    """(height, width): where the photo is fully opaque. The rest must not sway what is measured."""
    if photo.alpha is None:
        return np.ones(photo.pixels.shape[:2], bool)
    opaque: Mask = photo.alpha == photo.white
    return opaque
