"""Estimate noise, JPEG quality and softness: block statistics that a small network reads.

The 8x8 DCT of many blocks, once on the grid that JPEG may have left and once between its lines. What compression
rounded to zero is missing on the grid only; what noise added is there on both, also in the quietest blocks. So
the network needs no pixels, only shares and sizes of coefficients. How it was trained:
`training/cards/degradation.md`.

A wrong alarm does more harm than a miss (an enlarger told of damage that is not there smooths real texture), so
each figure leans towards clean as far as the network is unsure of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from relume.builtin.dct import BLOCK, DCT_2D
from relume.builtin.levels import Levels, luma, to_levels, visible
from relume.builtin.net import Net
from relume.imaging.photo import Photo

FEATURES = "features"
"""The network's input: (photos, 472)."""

_WINDOW = 192
_MOST_WINDOWS = 16
_MOST_BLOCKS = 4000
_FEWEST_BLOCKS = 64
_LARGEST_STEP = 12.0  # steps above this are edges of the content, not of blocks
_ON_GRID = (0.35, 0.7, 1.4, 2.8, 5.6, 11.0, 22.0, 45.0)  # levels
_OFF_GRID = (0.35, 0.7, 1.4, 2.8)
_QUIET_SHARE = 0.05

_ROW, _COLUMN = np.divmod(np.arange(BLOCK * BLOCK), BLOCK)
_CHOOSING = (_ROW + _COLUMN >= 1) & (_ROW + _COLUMN <= 4)


def _pairing() -> NDArray[np.float32]:
    """(64, 36): averages each frequency with its mirror image."""
    low, high = np.minimum(_ROW, _COLUMN), np.maximum(_ROW, _COLUMN)
    kinds, index = np.unique(low * BLOCK + high, return_inverse=True)
    table = np.zeros((BLOCK * BLOCK, len(kinds)), np.float32)
    table[np.arange(BLOCK * BLOCK), index] = 1
    paired: NDArray[np.float32] = table / table.sum(axis=0)
    return paired


_PAIRS = _pairing()


@dataclass(frozen=True, slots=True)
class Estimate:
    """What is likely, each with its standard error as the network sees it."""

    sigma: float
    """Of the noise of a channel, in levels, before any compression."""
    sigma_error: float
    quality: float
    """Of the JPEG compression; 100 for none."""
    quality_error: float
    blur: float
    """Standard deviation in pixels of a Gaussian blur; 0 for a sharp photo."""
    blur_error: float

    def leaning_to_clean(self, errors: float = 1.0) -> Estimate:
        """The same, moved towards clean by so many standard errors."""
        return Estimate(
            max(0.0, self.sigma - errors * self.sigma_error),
            self.sigma_error,
            min(100.0, self.quality + errors * self.quality_error),
            self.quality_error,
            max(0.0, self.blur - errors * self.blur_error),
            self.blur_error,
        )


def estimate(photo: Photo, net: Net) -> Estimate | None:
    """From up to 16 windows of 192 x 192 all over the photo. None where it is too small.

    Mean absolute errors on 192 degraded photos: noise 1.4 levels, quality 2.6, blur 0.11 pixels. Leaning to clean,
    18 clean ones read noise below 1.4 and quality 100 (95th percentiles).
    """
    statistics = features(_windows(photo))
    if statistics is None:
        return None
    return from_answer(net.infer({FEATURES: statistics[None]})[0][0])


def from_answer(answer: NDArray[np.float32]) -> Estimate:
    """(6,): noise / 12, compression / 100 and blur, then their standard errors."""
    sigma, compression, blur, *errors = map(float, answer)
    return Estimate(
        max(0.0, 12 * sigma),
        12 * errors[0],
        min(100.0, 100 - 100 * compression),
        100 * errors[1],
        max(0.0, blur),
        errors[2],
    )


def features(windows: Iterable[Levels]) -> NDArray[np.float32] | None:
    """(472,) for luma windows (height, width) of one photo, all beginning at whole blocks of its grid.

    None where they hold fewer than 64 blocks.
    """
    planes = list(windows)
    if not planes:
        return None
    down, across = _grid_phase([plane.T for plane in planes]), _grid_phase(planes)
    on_grid = _blocks(planes, down.phase, across.phase)
    off_grid = _blocks(planes, down.phase + BLOCK // 2, across.phase + BLOCK // 2)
    if min(len(on_grid), len(off_grid)) < _FEWEST_BLOCKS:
        return None
    on_sizes, off_sizes = np.abs(on_grid @ DCT_2D.T), np.abs(off_grid @ DCT_2D.T)
    parts = [
        *(np.mean(on_sizes < limit, axis=0) @ _PAIRS for limit in _ON_GRID),
        *(np.mean(off_sizes < limit, axis=0) @ _PAIRS for limit in _OFF_GRID),
        np.log(_quiet(on_sizes) @ _PAIRS + np.float32(0.1)) / 3,
        np.array([down.step, across.step, down.lead / 5, across.lead / 5], np.float32),
    ]
    return np.concatenate(parts).astype(np.float32)


@dataclass(frozen=True, slots=True)
class _Grid:
    phase: int
    step: float
    """Levels by which the steps at this phase exceed the others'."""
    lead: float
    """The same in their deviations."""


def _grid_phase(planes: list[Levels]) -> _Grid:
    """Of the columns: where steps between neighbours stand out every eight pixels."""
    sums, counts = np.zeros(BLOCK), np.zeros(BLOCK)
    for plane in planes:
        steps = np.minimum(np.abs(np.diff(plane, axis=1)), _LARGEST_STEP)
        excess = (steps[:, 1:-1] - (steps[:, :-2] + steps[:, 2:]) / 2).mean(axis=0)
        # The step between columns x + 1 and x + 2 is that of the column x + 2.
        at = (np.arange(len(excess)) + 2) % BLOCK
        sums += np.bincount(at, excess, BLOCK)
        counts += np.bincount(at, minlength=BLOCK)
    phases = sums / np.maximum(counts, 1)
    strongest = int(phases.argmax())
    others = np.delete(phases, strongest)
    step = float(phases[strongest] - others.mean())
    return _Grid(strongest, step, min(step / (float(others.std()) + 0.02), 25.0))


def _blocks(planes: list[Levels], top: int, left: int) -> Levels:
    """(blocks, 64): an even sample without those that touch black or white, unless hardly any others are left."""
    found = [_cut(plane[top % BLOCK :, left % BLOCK :]) for plane in planes]
    blocks = np.concatenate(found)
    unclipped = (blocks.min(axis=1) > 0.5) & (blocks.max(axis=1) < 254.5)
    if np.count_nonzero(unclipped) >= _FEWEST_BLOCKS:
        blocks = blocks[unclipped]
    chosen: Levels = blocks[:: -(-len(blocks) // _MOST_BLOCKS) or 1]
    return chosen


def _cut(plane: Levels) -> Levels:
    rows, columns = plane.shape[0] // BLOCK, plane.shape[1] // BLOCK
    whole = plane[: rows * BLOCK, : columns * BLOCK].reshape(rows, BLOCK, columns, BLOCK)
    return whole.transpose(0, 2, 1, 3).reshape(rows * columns, BLOCK * BLOCK)


def _quiet(sizes: Levels) -> Levels:
    """(64,): root mean squares in the blocks with the least at low frequencies, where there is little but noise."""
    energy = np.sum(sizes[:, _CHOOSING] ** 2, axis=1)
    count = max(_FEWEST_BLOCKS // 2, int(len(energy) * _QUIET_SHARE))
    quiet = sizes[np.argpartition(energy, min(count, len(energy) - 1))[:count]]
    return np.asarray(np.sqrt(np.mean(quiet**2, axis=0)), np.float32)


def _windows(photo: Photo) -> list[Levels]:
    """Luma of windows that begin at multiples of 8 pixels, evenly spread, where the photo is opaque."""
    opaque = visible(photo)
    found = []
    for top in _starts(photo.height):
        for left in _starts(photo.width):
            window = np.s_[top : top + _WINDOW, left : left + _WINDOW]
            if opaque[window].all():
                found.append(luma(to_levels(photo.pixels[window])))
    return found


def _starts(side: int) -> list[int]:
    most = int(_MOST_WINDOWS**0.5)
    count = min(most, max(1, side // _WINDOW))
    room = max(0, side - _WINDOW)
    return [int(room * index / max(1, count - 1)) // BLOCK * BLOCK for index in range(count)]
