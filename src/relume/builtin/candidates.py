"""Thin or small things that stand out from their surroundings, each with the figures it is judged by."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from relume.builtin.levels import Levels, Mask

# A defect must be narrower than half this window to stand out from the median: up to 8 pixels with its edges.
SURROUNDINGS = 21
_RING = 5
_DENSITY_WINDOW = 61
_RELIEF_WINDOW = 41
_LONGEST_EYE_LIGHT = 20.0


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """Lengths in pixels of the working size, contrasts in levels."""

    where: tuple[slice, slice]
    shape: Mask
    """(height, width) of `where`: the candidate's own pixels."""
    area: int
    length: float
    width: float
    contrast: float
    peak: float
    step: float
    """How much the surroundings themselves change there: large beside an edge of the scene."""
    unevenness: float
    """Standard deviation of the ring around it, less the slow change of its surroundings."""
    relief: float
    """Standard deviation of the surroundings over a wider window: large in and around eyes."""
    crowding: float
    """Share of pixels nearby that stand out as well: large in hair, fabric and foliage."""
    off_tone: float
    """How many levels less coloured than the photo's own tone it is, both as a whole and at its core."""


def standing_out(plane: Levels) -> tuple[Levels, Levels]:
    """(deviation, surroundings) of a (height, width) plane of levels: light things are positive."""
    smooth = cv2.GaussianBlur(plane, (0, 0), 0.6)
    rounded = np.clip(plane, 0, 255).astype(np.uint8)
    surroundings = cv2.medianBlur(rounded, SURROUNDINGS).astype(np.float32)
    return smooth - surroundings, surroundings


def find_candidates(
    deviation: Levels, surroundings: Levels, off_tone: Levels, *, seed: float, grow: float
) -> Iterator[Candidate]:
    """Connected areas above `grow` that reach `seed` somewhere (levels above the surroundings)."""
    grown = deviation > grow
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(grown.astype(np.uint8), connectivity=8)
    steps = cv2.morphologyEx(surroundings, cv2.MORPH_GRADIENT, np.ones((9, 9), np.uint8))
    relief = _local_deviation(surroundings)
    crowd = cv2.blur(grown.astype(np.float32), (_DENSITY_WINDOW, _DENSITY_WINDOW))
    depth = cv2.distanceTransform(grown.astype(np.uint8), cv2.DIST_L2, 3)
    seeded = np.zeros(count, bool)
    seeded[np.unique(labels[deviation > seed])] = True
    seeded[0] = False
    for index in np.flatnonzero(seeded):
        left, top, width, height, area = (int(value) for value in boxes[index])
        where = slice(top, top + height), slice(left, left + width)
        shape = labels[where] == index
        peak = float(deviation[where][shape].max())
        yield Candidate(
            where=where,
            shape=shape,
            area=area,
            length=float(np.hypot(width, height)),
            width=float(2 * np.percentile(depth[where][shape], 90)),
            contrast=float(deviation[where][shape].mean()),
            peak=peak,
            step=float(steps[where][shape].mean()),
            unevenness=_ring_deviation(deviation, where, shape),
            relief=float(relief[where][shape].mean()),
            crowding=float(crowd[where][shape].mean()),
            off_tone=_typical_off_tone(off_tone[where], deviation[where], shape),
        )


def _typical_off_tone(off_tone: Levels, deviation: Levels, shape: Mask) -> float:
    """The lesser of the medians over all of it and over its core.

    At the edge of a highlight two tones blend, and a blend is less coloured than either: light in an eye is
    off the tone but for its core. Near white no tone has colour, so a core there says nothing; that it is no
    light in an eye, its length must say.
    """
    core = shape & (deviation > deviation[shape].max() / 2)
    telling = core & (off_tone != 0)
    whole = float(np.median(off_tone[shape]))
    if 4 * np.count_nonzero(telling) < np.count_nonzero(core):
        return whole if np.hypot(*shape.shape) > _LONGEST_EYE_LIGHT else 0.0
    return min(whole, float(np.median(off_tone[telling])))


def _local_deviation(plane: Levels) -> Levels:
    window = (_RELIEF_WINDOW, _RELIEF_WINDOW)
    variance = cv2.blur(plane * plane, window) - cv2.blur(plane, window) ** 2
    deviation: Levels = np.sqrt(np.maximum(variance, 0))
    return deviation


def _ring_deviation(deviation: Levels, where: tuple[slice, slice], shape: NDArray[np.bool_]) -> float:
    """Standard deviation of the pixels 3 to 5 away from the candidate, inside the photo."""
    rows, columns = where
    top, left = max(0, rows.start - _RING), max(0, columns.start - _RING)
    around = deviation[top : rows.stop + _RING, left : columns.stop + _RING]
    own = np.zeros(around.shape, np.uint8)
    own[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left] = shape
    near = cv2.dilate(own, np.ones((5, 5), np.uint8))
    ring = (cv2.dilate(own, np.ones((2 * _RING + 1, 2 * _RING + 1), np.uint8)) > 0) & (near == 0)
    return float(around[ring].std()) if ring.any() else 255.0
