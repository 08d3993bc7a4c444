"""The photos of quality.py: files that ordinary Python packages bring along, none of which is trained with."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from training.photos import HELD_OUT as SIX
from training.photos import packaged

from relume.imaging.photo import Photo

EXTRA = {
    name: ("skimage", f"data/{name}.{ending}")
    for name, ending in (
        ("camera", "png"),
        ("coins", "png"),
        ("moon", "png"),
    )
}


def held_out() -> tuple[dict[str, Photo], list[str]]:
    """Those that are here by name, cut to sides that 4 divides, and the names of those that are not."""
    found: dict[str, Photo] = {}
    missing = []
    for name, (package, file) in (SIX | EXTRA).items():
        path = packaged(package, file)
        if path is None:
            missing.append(name)
        else:
            found[name] = _read(path)
    return found, missing


def _read(path: Path) -> Photo:
    """Greyscale files as one channel."""
    read = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert read is not None
    pixels = read[..., None] if read.ndim == 2 else read[..., 2::-1]
    even = pixels[: pixels.shape[0] // 4 * 4, : pixels.shape[1] // 4 * 4]
    return Photo(np.ascontiguousarray(even, np.uint8))
