"""Lines as an illustrator draws them: smooth strokes on the dark side of edges, and none in the grain.

The flow-based difference of Gaussians of Kang, Lee & Chui, "Coherent Line Drawing" (2007), in the separable
form of Kyprianidis & Döllner, "Image Abstraction by Structure Adaptive Filtering" (2008): a structure tensor
gives the direction of the edges, a difference of Gaussians is taken across it, and the answer is averaged
along it. Strokes are kept by hysteresis, so that specks go and faint ends of strong strokes stay.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from relume.builtin.levels import Levels

_WIDER = 1.6  # the ratio of the two Gaussians at which their difference is nearest to a Laplacian
_TENSOR_SIGMAS = 2.0  # the tensor is averaged over this many line widths
_ALONG_SIGMAS = 3.0  # and the strokes over this many
_INKED_SHARE = 0.04  # of a drawing: what lies on opaque lines
_PHOTO_GAIN = (0.6, 2.0)


@dataclass(frozen=True, slots=True)
class Pen:
    """How lines are drawn. Strengths are in levels of 255 by which a line is darker than its surroundings."""

    width: float
    """Standard deviation of the finer Gaussian, in thousandths of the photo's longer side."""
    faintest: float
    """Strength at which ink sets in."""
    full: float
    """Strength at which ink is opaque."""
    strongest_at_least: float
    """A stroke that is nowhere stronger is dropped."""
    shortest: float
    """The area below which a stroke is dropped, in squared line widths."""


def line_strength(grey: Levels, pen: Pen, unit: float) -> Levels:
    """(height, width): how strongly each pixel lies on a line, in levels; 0 where a stroke was dropped.

    `grey` is (height, width) in levels, without noise; `unit` is a thousandth of the longer side in pixels.
    """
    sigma = max(pen.width * unit, 0.5)
    angle = _edge_angle(grey, _TENSOR_SIGMAS * sigma)
    strength = _along(_across(grey, angle, sigma), angle, _ALONG_SIGMAS * sigma)
    strength *= _gain(grey, strength, pen)
    return _without_specks(np.maximum(strength, 0, out=strength), pen, sigma)


def _edge_angle(grey: Levels, sigma: float) -> Levels:
    """The direction across the edges, in radians, from the smoothed structure tensor."""
    dx, dy = cv2.Scharr(grey, cv2.CV_32F, 1, 0), cv2.Scharr(grey, cv2.CV_32F, 0, 1)
    xx, yy, xy = (cv2.GaussianBlur(product, (0, 0), sigma) for product in (dx * dx, dy * dy, dx * dy))
    angle: Levels = (np.arctan2(2 * xy, xx - yy) / 2).astype(np.float32, copy=False)
    return angle


def _across(grey: Levels, angle: Levels, sigma: float) -> Levels:
    """The wider Gaussian less the finer one, in one dimension: positive on the dark side of an edge."""
    reach = int(np.ceil(2.5 * _WIDER * sigma))
    offsets = np.arange(-reach, reach + 1, dtype=np.float32)
    weights = _gaussian(offsets, _WIDER * sigma) - _gaussian(offsets, sigma)
    x, y = _grid(grey)
    step_x, step_y = np.cos(angle), np.sin(angle)
    total = np.zeros_like(grey)
    for offset, weight in zip(offsets, weights, strict=True):
        total += weight * _sampled(grey, _f32(x + offset * step_x), _f32(y + offset * step_y))
    return total


def _along(plane: Levels, angle: Levels, sigma: float) -> Levels:
    """Averaged along the edges, a pixel a step, both ways."""
    tangent = _f32(np.dstack([-np.sin(angle), np.cos(angle)]))
    reach = int(np.ceil(2 * sigma))
    weights = _gaussian(np.arange(-reach, reach + 1, dtype=np.float32), sigma)[reach:]
    total = _f32(weights[0] * plane)
    for way in (1, -1):
        for weight, (x, y) in zip(weights[1:], _walk(tangent, np.float32(way)), strict=False):
            total += weight * _sampled(plane, x, y)
    return total


def _walk(tangent: Levels, way: np.float32) -> Iterator[tuple[Levels, Levels]]:
    """Where one is after each step along the edges. A tangent has no sign: the one ahead is taken."""
    x, y = _grid(tangent)
    heading = _f32(way * tangent)
    while True:
        x, y = _f32(x + heading[..., 0]), _f32(y + heading[..., 1])
        yield x, y
        ahead = _sampled(tangent, x, y)
        forward = np.einsum("yxc,yxc->yx", ahead, heading) >= 0
        heading = np.where(forward[..., None], ahead, -ahead)


def _gain(grey: Levels, strength: Levels, pen: Pen) -> Levels:
    """More for a soft photo, and in the dark, where the eye sees smaller differences (Weber's law)."""
    typical = float(np.percentile(strength, 100 * (1 - _INKED_SHARE)))
    for_photo = np.clip(pen.full / max(typical, 1e-3), *_PHOTO_GAIN)
    gain: Levels = np.float32(for_photo) * np.float32(1.5) / (np.float32(0.6) + grey / np.float32(140))
    return gain


def _without_specks(strength: Levels, pen: Pen, sigma: float) -> Levels:
    inked = (strength > pen.faintest).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(inked, connectivity=8)
    strongest = np.zeros(count, np.float32)
    np.maximum.at(strongest, labels.ravel().astype(np.intp), strength.ravel())
    kept = (stats[:, cv2.CC_STAT_AREA] >= pen.shortest * sigma**2) & (strongest >= pen.strongest_at_least)
    kept[0] = True  # What is not inked keeps its strength: there strokes fade out.
    cleaned: Levels = np.where(kept[labels], strength, np.float32(0))
    return cleaned


def _gaussian(offsets: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    weights = np.exp(-0.5 * (offsets / sigma) ** 2)
    return _f32(weights / weights.sum())


def _grid(like: Levels) -> tuple[Levels, Levels]:
    height, width = like.shape[:2]
    y, x = np.indices((height, width), np.float32)
    return x, y


def _f32(values: NDArray[Any]) -> Levels:
    return np.asarray(values, np.float32)


def _sampled(plane: Levels, x: Levels, y: Levels) -> Levels:
    return np.asarray(cv2.remap(plane, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.float32)
