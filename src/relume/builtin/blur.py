"""Measure blur at the sharpest edges of a photo."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from relume.builtin.levels import Levels, luma, to_levels, visible
from relume.imaging.photo import Photo

_LARGEST_SIDE = 2048
_WEAKEST_EDGE = 6.0  # levels a pixel; less is grain
_FEWEST_EDGES = 50
_REBLUR_SIGMA = 1.0


@dataclass(frozen=True, slots=True)
class Blur:
    sigma: float
    """Standard deviation in pixels of the blur at the sharper edges. Sharp photos have 0.2 to 0.55."""
    confidence: float


def measure_blur(photo: Photo) -> Blur:
    """Blur by comparing edges with their re-blurred selves, after Zhuo & Sim, "Defocus map estimation from a
    single image", Pattern Recognition 2011. The sharper quarter counts: the background may be out of focus.
    """
    plane, opaque = _central(photo)
    edge = _gradient(plane)
    strong = max(_WEAKEST_EDGE, float(np.percentile(edge, 95)))
    peaks = (edge >= cv2.dilate(edge, np.ones((3, 3), np.uint8))) & (edge > strong) & opaque
    if np.count_nonzero(peaks) < _FEWEST_EDGES:
        return Blur(0.0, 0.0)
    reblurred = _gradient(np.asarray(cv2.GaussianBlur(plane, (0, 0), _REBLUR_SIGMA), np.float32))
    ratio = edge[peaks] / np.maximum(reblurred[peaks], 1e-3)
    sigmas = _REBLUR_SIGMA / np.sqrt(np.maximum(ratio**2 - 1, 1e-3))
    return Blur(float(np.percentile(sigmas, 25)), min(1.0, len(sigmas) / 500))


def _central(photo: Photo) -> tuple[Levels, np.ndarray[tuple[int, ...], np.dtype[np.bool_]]]:
    top, left = (max(0, (side - _LARGEST_SIDE) // 2) for side in photo.pixels.shape[:2])
    window = np.s_[top : top + _LARGEST_SIDE, left : left + _LARGEST_SIDE]
    plane = np.ascontiguousarray(luma(to_levels(photo.pixels[window])))
    opaque = cv2.erode(visible(photo)[window].astype(np.uint8), np.ones((7, 7), np.uint8))
    return plane, opaque.astype(bool)


def _gradient(plane: Levels) -> Levels:
    across = cv2.Sobel(plane, cv2.CV_32F, 1, 0, scale=0.125)
    down = cv2.Sobel(plane, cv2.CV_32F, 0, 1, scale=0.125)
    return np.hypot(across, down)
