"""In a toned photo: what does not have the colour that the toning gave everything else."""

from __future__ import annotations

import cv2
import numpy as np

from relume.builtin.levels import Levels, Mask
from relume.builtin.tone import chroma, tone_curve

_LEAST_TONE = 6.0  # levels of red less luma; below, off-tone colour cannot be told from noise
_USUAL_DEVIATION = 10.0
_LIGHTEST_PERCENTILE = 99.8
_LEAST_BEYOND = 12.0
_LEVELS_PER_POINT = 8.0


def off_tone(levels: Levels, grey: Levels, deviation: Levels) -> tuple[Levels, Levels]:
    """(paler, stronger), each (height, width): by how many levels a pixel's colour misses the photo's own.

    `grey` is the luma of `levels`, `deviation` says how far each pixel stands out from its surroundings.
    Measured in red and not in blue: the blue of a sepia print is often clipped at 0, which bends its curve.
    """
    colours = chroma(levels, grey)
    # What stands out has no say in what is usual: large creases would pass for the tone of highlights.
    usual = np.abs(deviation) < _USUAL_DEVIATION
    curve = tone_curve(colours[usual], grey[usual])[np.clip(grey, 0, 255).astype(np.uint8)][..., 0]
    # The camera's colour is sharp and JPEG's is soft, so thin things must be off the tone both ways.
    sharp = np.ascontiguousarray(colours[..., 0])
    soft = cv2.GaussianBlur(sharp, (0, 0), 1.0)
    weight = np.where(np.abs(curve) > _LEAST_TONE, np.sign(curve), 0)
    paler = np.minimum((curve - sharp) * weight, (curve - soft) * weight)
    paler = np.where(weight == 0, _beyond_the_lightest(grey, usual), paler)
    stronger = np.minimum((sharp - curve) * weight, (soft - curve) * weight)
    return paler.astype(np.float32), stronger.astype(np.float32)


def _beyond_the_lightest(grey: Levels, usual: Mask) -> Levels:
    """How far a pixel is lighter than the photo ever is, on the scale of colours missed.

    Near white no tone has colour, so there lightness must tell: paper under a faded print is lighter than
    all that was ever printed. In a photo that reaches white itself this is 0 everywhere. The scale is set
    so that paper 40 levels beyond the lightest tone counts like the palest creases measured.
    """
    lightest = float(np.percentile(grey[usual], _LIGHTEST_PERCENTILE)) if usual.any() else 255.0
    beyond: Levels = np.maximum(grey - lightest - _LEAST_BEYOND, 0) / _LEVELS_PER_POINT
    return beyond
