"""The photos of quality.py: files that ordinary Python packages bring along, none of which is trained with."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import cv2
import numpy as np

from relume.imaging.photo import Photo

SIX = {
    "china": ("sklearn", "datasets/images/china.jpg"),
    "flower": ("sklearn", "datasets/images/flower.jpg"),
    "astronaut": ("skimage", "data/astronaut.png"),
    "chelsea": ("skimage", "data/chelsea.png"),
    "coffee": ("skimage", "data/coffee.png"),
    "grace_hopper": ("matplotlib", "mpl-data/sample_data/grace_hopper.jpg"),
}
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
        path = _path(package, file)
        if path is None:
            missing.append(name)
        else:
            found[name] = _read(path)
    return found, missing


def _path(package: str, file: str) -> Path | None:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    path = Path(spec.submodule_search_locations[0]) / file
    return path if path.exists() else None


def _read(path: Path) -> Photo:
    """Greyscale files as one channel."""
    read = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert read is not None
    pixels = read[..., None] if read.ndim == 2 else read[..., 2::-1]
    even = pixels[: pixels.shape[0] // 4 * 4, : pixels.shape[1] // 4 * 4]
    return Photo(np.ascontiguousarray(even, np.uint8))
