"""How far a model's output depends on its input, measured: the overlap with which tiles show no seams.

In theory a network of 350 convolutions sees 350 pixels in each direction; what it uses is far less.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from relume.engines.engine import Engine, Images
from relume.engines.weights import write_whole

LONGEST = 64
"""Beyond it the overlap costs more than a seam of less than one level would."""
_STEP = 4
_KEPT = 16
"""Side of the square in the middle that is compared."""
_TOLERANCE = 0.5 / 255


def overlap_of(engine: Callable[[], Engine], sha256: str, cache: Path) -> int:
    """In input pixels. Measured once for each file of weights, which takes some seconds, then remembered."""
    note = cache / f"{sha256[:32]}-reach.json"
    try:
        return int(json.loads(note.read_text(encoding="utf-8"))["pixels"])
    except (OSError, ValueError, KeyError, TypeError):
        pixels = measure(engine())
    write_whole(note, json.dumps({"pixels": pixels}).encode())
    return pixels


def measure(engine: Engine) -> int:
    """The least overlap, in steps of 4 pixels, beyond which no pixel moves the output by half of a level of 255.

    Around the middle of one picture, an unlike one takes its place, and the middle is compared.
    """
    side = _KEPT + 2 * LONGEST
    side = -(-max(side, engine.shape.smallest) // engine.shape.multiple_of) * engine.shape.multiple_of
    if engine.shape.side is not None:
        side = engine.shape.side
    one, other = _picture(side, seed=1), _picture(side, seed=2)
    wanted = _middle(engine, one)
    low, high = 0, min(LONGEST, (side - _KEPT) // 2) // _STEP
    while low < high:
        middle = (low + high) // 2
        if _is_enough(engine, one, other, wanted, middle * _STEP):
            high = middle
        else:
            low = middle + 1
    return max(low * _STEP, _STEP)


def _is_enough(engine: Engine, one: Images, other: Images, wanted: Images, overlap: int) -> bool:
    side = one.shape[2]
    start = (side - _KEPT) // 2 - overlap
    mixed = other.copy()
    inside = slice(start, start + _KEPT + 2 * overlap)
    mixed[..., inside, inside] = one[..., inside, inside]
    return bool(np.abs(_middle(engine, mixed) - wanted).max() <= _TOLERANCE)


def _middle(engine: Engine, image: Images) -> Images:
    scale, side = engine.shape.scale, image.shape[2]
    start = (side - _KEPT) // 2 * scale
    inside = slice(start, start + _KEPT * scale)
    return engine.run(image)[..., inside, inside].copy()


def _picture(side: int, *, seed: int) -> Images:
    """Soft shapes, edges and grain: what photos are made of."""
    rng = np.random.default_rng(seed)
    picture: NDArray[np.float32] = np.zeros((side, side, 3), np.float32)
    for cells in (4, 16, 48):
        coarse = rng.random((cells, cells, 3), np.float32)
        picture += cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC) / 3
    for _ in range(12):
        corner = rng.integers(0, side, 2)
        colour = tuple(float(value) for value in rng.random(3))
        cv2.rectangle(picture, corner.tolist(), (corner + rng.integers(4, side // 3)).tolist(), colour, -1)
    picture += rng.normal(0, 0.04, picture.shape).astype(np.float32)
    return np.ascontiguousarray(np.clip(picture, 0, 1).transpose(2, 0, 1)[None])
