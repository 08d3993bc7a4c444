"""Blockwise 8x8 DCT as one matrix product, and the opponent colours that noise is measured and removed in."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from relume.builtin.levels import Levels

BLOCK = 8


def _dct_matrix() -> NDArray[np.float32]:
    frequency, position = np.mgrid[:BLOCK, :BLOCK]
    matrix = np.cos(np.pi * (2 * position + 1) * frequency / (2 * BLOCK)) * np.sqrt(2 / BLOCK)
    matrix[0] /= np.sqrt(2)
    single: NDArray[np.float32] = matrix.astype(np.float32)
    return single


# (64, 64): a flattened 8x8 block times the transpose gives its orthonormal DCT. One product of this kind is
# faster than two of 8x8, because BLAS likes its size.
DCT_2D: NDArray[np.float32] = np.kron(_dct_matrix(), _dct_matrix()).astype(np.float32)

# Grey, red-blue, green-magenta: orthonormal, so that white noise keeps its sigma in each plane.
OPPONENT: NDArray[np.float32] = np.array(
    [[3**-0.5, 3**-0.5, 3**-0.5], [2**-0.5, 0, -(2**-0.5)], [6**-0.5, -2 * 6**-0.5, 6**-0.5]], np.float32
)


def to_opponent(levels: Levels) -> Levels:
    """(…, 3) RGB to opponent colours; one channel stays what it is."""
    return levels if levels.shape[-1] == 1 else levels @ OPPONENT.T


def from_opponent(planes: Levels) -> Levels:
    return planes if planes.shape[-1] == 1 else planes @ OPPONENT
