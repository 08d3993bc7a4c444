"""Three tone curves and a colour matrix for the whole photo, as a small network chooses them.

It looks at a thumbnail and never at a single pixel's place, so it can draw no halo and invent no spot. How it was
trained: `training/cards/colour.md`.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from relume.builtin.levels import Levels, Mask, luma, visible
from relume.builtin.net import Net
from relume.imaging.photo import Photo, Pixels

_SIDE = 128
_STEP = (
    2  # every second pixel of the thumbnail is looked at: averaged further, it would lose its black and white
)
_PERCENTILES = (0.5, 2, 10, 25, 50, 75, 90, 98, 99.5)
_FEWEST_PIXELS = 64


@dataclass(frozen=True, slots=True, eq=False)
class Curves:
    """What the network says of a photo."""

    curves: NDArray[np.float32]
    """(3, points), rising, 0 to 1 and a little beyond: what becomes of R, G and B at even steps from 0 to 1."""
    matrix: NDArray[np.float32]
    """(3, 3), rows of sum 1: what is grey after the curves stays grey."""
    sure: float
    """How sure it is that the photo has faded, 0 to 1."""
    effect: float
    """By how many levels it would change the photo, in the mean."""

    def table(self, dtype: np.dtype[np.uint8] | np.dtype[np.uint16]) -> Levels:
        """(values, 3): the level that each value of a photo's pixels becomes by its curve."""
        at = np.linspace(0, 1, int(np.iinfo(dtype).max) + 1)
        knots = np.linspace(0, 1, self.curves.shape[1])
        columns = [np.interp(at, knots, curve) for curve in self.curves]
        return np.stack(columns, axis=1).astype(np.float32) * np.float32(255)

    def apply(self, tile: Pixels, table: Levels) -> Levels:
        """(height, width, 3) pixels to levels, not clipped."""
        toned = np.stack([table[tile[..., channel], channel] for channel in range(3)], axis=-1)
        return np.asarray(toned @ self.matrix.T, np.float32)


def choose_curves(photo: Photo, ignored: Mask, net: Net) -> Curves | None:
    """For an RGB photo; what is transparent or `ignored` (height, width) does not count.

    None where there is too little to look at.
    """
    small, counted = _thumbnail(photo, ignored)
    samples = small[counted]
    if len(samples) < _FEWEST_PIXELS:
        return None
    small[~counted] = np.median(samples, axis=0)
    made = net.infer(
        {
            "thumbnail": np.ascontiguousarray(small.transpose(2, 0, 1))[None],
            "percentiles": _points(samples)[None],
        }
    )
    chosen = Curves(made[0][0], made[1][0], float(made[2][0]), 0.0)
    grains = np.rint(samples * 255).astype(np.uint8)[None]
    changed = np.clip(chosen.apply(grains, chosen.table(grains.dtype)), 0, 255)
    effect = float(np.abs(changed - grains).mean())
    return Curves(chosen.curves, chosen.matrix, chosen.sure, effect)


def _thumbnail(photo: Photo, ignored: Mask) -> tuple[Levels, Mask]:
    """(64, 64, 3), 0 to 1, and which of its pixels count."""
    counted = visible(photo) & ~ignored
    small = cv2.resize(photo.pixels, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    cover = cv2.resize(counted.astype(np.uint8), (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    few = slice(None, None, _STEP)
    shares = np.asarray(small[few, few], np.float32) / np.float32(photo.white)
    return shares, np.asarray(cover[few, few] == 1)


def _points(samples: Levels) -> NDArray[np.float32]:
    """(36,): by percentile red, green and blue, then those of luma."""
    at = np.rint(np.array(_PERCENTILES) / 100 * (len(samples) - 1)).astype(int)
    colours = np.sort(samples, axis=0)[at]
    grey = np.sort(luma(samples))[at]
    return np.concatenate([colours.ravel(), grey]).astype(np.float32)
