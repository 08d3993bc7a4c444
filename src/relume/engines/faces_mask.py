"""Where a restored face replaces the photo: soft masks in the model's upright crop."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from relume.engines.detect import Points

Values = NDArray[np.float32]

_FEATHER = 0.08
"""Of the crop's side: how wide the restored face fades into the photo."""
_EDGE = 0.04
"""Of the crop's side: the rim that is never used, because models are weak at their borders."""
_EYE_WIDTH, _EYE_HEIGHT = 0.38, 0.26
"""Half the axes of the ellipse around an eye, lids and lashes within, of the distance between the eyes."""
_EYE_FEATHER = 0.4
"""Of the way from the ellipse's rim to its middle."""


def face_mask(side: int) -> Values:
    """(side, side), 0 to 1: a rounded square that fades at its rim, 0 at the border itself."""
    edge, feather = round(side * _EDGE), side * _FEATHER
    axis = np.minimum(np.arange(side), np.arange(side)[::-1]) - edge
    smooth = _smooth(axis / feather)
    return np.asarray(np.outer(smooth, smooth), np.float32)


def eyes_mask(side: int, points: Points) -> Values:
    """(side, side), 0 to 1: an ellipse around each eye that fades at its rim, 0 beyond it.

    `points` lie in the crop, where eyes are level.
    """
    left, right = points[0].astype(np.float64), points[1].astype(np.float64)
    apart = float(np.hypot(*(right - left)))
    return np.maximum(_ellipse(side, left, apart), _ellipse(side, right, apart)) * (face_mask(side) > 0)


def _ellipse(side: int, middle: NDArray[np.float64], apart: float) -> Values:
    across = (np.arange(side) - middle[0]) / max(apart * _EYE_WIDTH, 1.0)
    down = (np.arange(side) - middle[1]) / max(apart * _EYE_HEIGHT, 1.0)
    away = np.hypot(across[None, :], down[:, None])
    return np.asarray(_smooth((1 - away) / _EYE_FEATHER), np.float32)


def _smooth(ramp: NDArray[np.float64]) -> NDArray[np.float64]:
    """0 below 0, 1 above 1, and no edge between."""
    within = np.clip(ramp, 0, 1)
    return np.asarray(within * within * (3 - 2 * within), np.float64)
