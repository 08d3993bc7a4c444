"""Give back the edge contrast that blur took, without halos."""

from __future__ import annotations

import cv2
import numpy as np

from relume.builtin.levels import Levels, from_levels, luma, to_levels
from relume.builtin.measure import Damage
from relume.imaging.photo import Photo, Pixels
from relume.imaging.tiles import map_tiles
from relume.ports import RunContext, StepReport

NAME = "sharpen"

_TILE = 1024
_SHARP_SIGMA = 0.7  # pixels; sharp photos have 0.2 to 0.55
_LARGEST_RADIUS = 3.0
_LARGEST_AMOUNT = 1.0
_LEAST_CONFIDENCE = 0.4
_LEEWAY = 0.05  # of the local contrast: how far an edge may overshoot its surroundings


def sharpen(photo: Photo, damage: Damage, context: RunContext) -> tuple[Photo, StepReport]:
    """Unsharp masking of luma at the measured blur, held within the local range. Raises JobCancelled."""
    blur = damage.blur
    figures = f"edges are {blur.sigma:.2f} pixels soft"
    if blur.sigma < _SHARP_SIGMA or blur.confidence < _LEAST_CONFIDENCE:
        why = "Sharp enough" if blur.confidence >= _LEAST_CONFIDENCE else "Too few edges to judge"
        return photo, StepReport(NAME, False, f"{why}: {figures}.", blur.confidence)
    radius = min(blur.sigma, _LARGEST_RADIUS)
    amount = min(_LARGEST_AMOUNT, 1.5 * (blur.sigma - _SHARP_SIGMA) + 0.3)
    reach = int(np.ceil(4 * radius)) + 1

    def crisp(tile: Pixels) -> Pixels:
        levels = to_levels(tile)
        grey = np.ascontiguousarray(luma(levels))
        change = _clamped_unsharp(grey, radius, amount, damage.noise.sigma) - grey
        return from_levels(levels + change[..., None], tile.dtype)

    pixels = map_tiles(
        photo.pixels,
        crisp,
        tile=_TILE,
        overlap=reach,
        on_tile=lambda done, total: context.progress(done / total, NAME),
    )
    detail = f"Sharpened by {100 * amount:.0f} % at a radius of {radius:.1f} pixels: {figures}."
    return photo.with_pixels(pixels), StepReport(NAME, True, detail, blur.confidence)


def _clamped_unsharp(grey: Levels, radius: float, amount: float, noise_sigma: float) -> Levels:
    detail = grey - cv2.GaussianBlur(grey, (0, 0), radius)
    # Detail no larger than the noise is left alone, with no step between the two.
    floor = np.float32(noise_sigma)
    gate = detail**2 / (detail**2 + floor**2 + np.float32(1e-6))
    side = 2 * round(radius) + 1
    kernel = np.ones((side, side), np.uint8)
    low, high = cv2.erode(grey, kernel), cv2.dilate(grey, kernel)
    leeway = np.float32(_LEEWAY) * (high - low)
    return np.clip(grey + np.float32(amount) * gate * detail, low - leeway, high + leeway)
