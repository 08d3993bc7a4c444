"""Figures: of two photos against each other, and of one by itself."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import numpy as np

from relume.builtin.blur import measure_blur
from relume.builtin.noise import measure_noise
from relume.imaging.compare import psnr, ssim
from relume.imaging.photo import Photo, Pixels
from relume.imaging.resize import resize

SMALLEST_SIDE = 11
"""SSIM's window does not fit into less."""
_REC601 = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True, slots=True)
class Likeness:
    """How near a photo is to its reference."""

    psnr_db: float | None
    """None when both are equal: the ratio is infinite then, which JSON has no number for."""
    ssim: float


@dataclass(frozen=True, slots=True)
class Looks:
    """What a photo says of itself, by the measures the built-in restorer decides with. No reference is needed."""

    noise_sigma: float
    """Of 255 levels."""
    blur_sigma: float
    """In pixels of this photo: an enlarged one has more of it for the same sharpness."""


def likeness(reference: Photo, photo: Photo) -> Likeness:
    """Both at the size of the reference, in 8 bits; in greyscale unless both have colour."""
    if (photo.width, photo.height) != (reference.width, reference.height):
        photo = resize(photo, reference.width, reference.height)
    a, b = eight_bits(reference), eight_bits(photo)
    if a.shape != b.shape:
        a, b = _grey(a), _grey(b)
    ratio = psnr(a, b)
    return Likeness(None if math.isinf(ratio) else round(ratio, 2), round(ssim(a, b), 4))


def looks(photo: Photo) -> Looks:
    return Looks(round(measure_noise(photo).sigma, 2), round(measure_blur(photo).sigma, 2))


def eight_bits(photo: Photo) -> Pixels:
    if photo.pixels.dtype == np.uint8:
        return photo.pixels
    return cast("Pixels", ((photo.pixels.astype(np.uint32) + 128) // 257).astype(np.uint8))


def _grey(pixels: Pixels) -> Pixels:
    if pixels.shape[2] == 1:
        return pixels
    return cast("Pixels", np.rint(pixels.astype(np.float32) @ _REC601).astype(np.uint8)[:, :, None])
