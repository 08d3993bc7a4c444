"""Find the 8x8 grid that JPEG compression left, wherever a later crop has moved it.

The step between neighbours, less the mean of the steps beside it, is summed for each of the eight phases; a
grid shows as one phase that stands out, in both directions. A simplified form of Wang, Bovik & Evans,
"Blind measurement of blocking artifacts in images", ICIP 2000, made local so that edges hardly count.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from relume.builtin.dct import BLOCK
from relume.builtin.levels import Levels, luma, to_levels
from relume.imaging.photo import Photo

_LARGEST_SIDE = 2048
_LARGEST_STEP = 12.0  # steps above this are edges of the content, not of blocks
_CLEAR_Z = 3.0
_CLEAR_STEP = 0.3  # clean photos stay below 0.2, JPEG quality 90 gives 0.2 to 0.5, quality 40 0.9 to 2.5


@dataclass(frozen=True, slots=True)
class Blocks:
    step: float
    """Mean excess step at the block edges, in levels; 0 where there is no clear grid."""
    confidence: float


def measure_blocks(photo: Photo) -> Blocks:
    plane = _central_luma(photo)
    if min(plane.shape) < 4 * BLOCK:
        return Blocks(0.0, 0.0)
    (across, across_z), (down, down_z) = _strongest_phase(plane), _strongest_phase(plane.T)
    step, z = min(across, down), min(across_z, down_z)
    if step < _CLEAR_STEP or z < _CLEAR_Z:
        return Blocks(0.0, min(1.0, min(plane.shape) / 256))
    return Blocks(step, min(1.0, z / 4))


def _central_luma(photo: Photo) -> Levels:
    top, left = (max(0, (side - _LARGEST_SIDE) // 2) for side in photo.pixels.shape[:2])
    return luma(to_levels(photo.pixels[top : top + _LARGEST_SIDE, left : left + _LARGEST_SIDE]))


def _strongest_phase(plane: Levels) -> tuple[float, float]:
    """By how many levels the strongest column phase exceeds the other seven, and by how many deviations."""
    steps = np.minimum(np.abs(np.diff(plane, axis=1)), _LARGEST_STEP)
    excess = (steps[:, 1:-1] - (steps[:, :-2] + steps[:, 2:]) / 2).mean(axis=0)
    phases = np.array([excess[phase::BLOCK].mean() for phase in range(BLOCK)])
    strongest = int(phases.argmax())
    others = np.delete(phases, strongest)
    # The floor keeps flat synthetic images, whose phases hardly differ, from looking certain.
    lead = float(phases[strongest] - others.mean())
    return lead, lead / (float(others.std()) + 0.02)
