"""Where faces are: by YuNet, or by a cascade that comes with scikit-image and needs no download."""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol, cast

import cv2
import numpy as np
from numpy.typing import NDArray

Colours = NDArray[np.uint8]
"""(height, width, 3), RGB."""
Points = NDArray[np.float32]
"""(5, 2), x and y: the eye on the left of the picture, the one on the right, the nose's tip, the corners of
the mouth."""

_LONGEST_SIDE = 1280
"""Faces are looked for in a photo of at most this size."""
_ALL = 0.3
"""YuNet's weakest answers that are looked at at all, so that a report can tell of uncertain faces."""
_OVERLAP = 0.3
_MOST = 200

_CASCADE_LEVELS = ((8, 0.75), (4, 0.6))
"""How many windows have to agree on a face, and what that is worth. On five old portraits and a photo of an
astronaut, 8 found 6 of 8 faces and, 40 pixels wide or more, nothing else; 4 found all, and a false one."""
_SMALLEST_BOX = 24
_CASCADE_POINTS = np.array(
    [[0.305, 0.38], [0.695, 0.38], [0.5, 0.62], [0.335, 0.79], [0.665, 0.79]], np.float32
)
"""Where eyes, nose and mouth lie in its square on average: it finds upright faces only."""


class Box(NamedTuple):
    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Face:
    """In pixels of the photo it was found in."""

    points: Points
    box: Box
    confidence: float
    """0 to 1."""

    @property
    def width(self) -> float:
        return self.box.width

    def scaled(self, factor: float) -> Face:
        box = Box(*(length * factor for length in self.box))
        return Face(self.points * np.float32(factor), box, self.confidence)


class Detector(Protocol):
    @property
    def name(self) -> str: ...

    def find(self, photo: Colours) -> list[Face]:
        """The most certain first."""
        ...


class YuNet:
    """Wu, Peng, Yu: YuNet, a tiny millisecond-level face detector, 2023. Finds faces turned and in profile too."""

    name = "YuNet"

    def __init__(self, path: Path) -> None:
        """Raises cv2.error for a file that is not YuNet."""
        self._net = cv2.FaceDetectorYN.create(str(path), "", (320, 320), _ALL, _OVERLAP, _MOST)

    def find(self, photo: Colours) -> list[Face]:
        small, factor = _reduced(photo)
        self._net.setInputSize((small.shape[1], small.shape[0]))
        found: Any = self._net.detect(cv2.cvtColor(small, cv2.COLOR_RGB2BGR))
        rows = found[1]
        if rows is None:
            return []
        faces = [
            Face(
                row[4:14].reshape(5, 2).astype(np.float32),
                Box(*(float(length) for length in row[:4])),
                float(min(row[14], 1.0)),
            )
            for row in np.asarray(rows)
        ]
        return [face.scaled(1 / factor) for face in sorted(faces, key=lambda face: -face.confidence)]


class Cascade:
    """Local binary patterns, trained for OpenCV: fast, upright frontal faces, a false one now and then."""

    name = "scikit-image's cascade"

    def __init__(self) -> None:
        data: Any = importlib.import_module("skimage.data")
        feature: Any = importlib.import_module("skimage.feature")
        self._cascade = feature.Cascade(data.lbp_frontal_face_cascade_filename())

    def find(self, photo: Colours) -> list[Face]:
        small, factor = _reduced(photo)
        faces = [
            _from_square(box, confidence)
            for agreeing, confidence in _CASCADE_LEVELS
            for box in self._boxes(small, agreeing)
        ]
        return [face.scaled(1 / factor) for face in _one_each(faces)]

    def _boxes(self, photo: Colours, agreeing: int) -> list[dict[str, int]]:
        shortest = min(photo.shape[:2])
        least = min(_SMALLEST_BOX, shortest)
        found: list[dict[str, int]] = self._cascade.detect_multi_scale(
            np.ascontiguousarray(photo),
            scale_factor=1.2,
            step_ratio=1,
            min_size=(least, least),
            max_size=(shortest, shortest),
            min_neighbor_number=agreeing,
        )
        return sorted(found, key=lambda box: -box["width"])


def has_cascade() -> bool:
    return importlib.util.find_spec("skimage") is not None


def _one_each(faces: list[Face]) -> list[Face]:
    """Without those that lie within another that comes before them."""
    kept: list[Face] = []
    for face in faces:
        middles = (face.points.mean(0) - other.points.mean(0) for other in kept)
        if all(np.hypot(*away) > other.width / 2 for away, other in zip(middles, kept, strict=True)):
            kept.append(face)
    return kept


def _from_square(box: dict[str, int], confidence: float) -> Face:
    size = np.array([box["width"], box["height"]], np.float32)
    corner = np.array([box["c"], box["r"]], np.float32)
    square = Box(float(box["c"]), float(box["r"]), float(box["width"]), float(box["height"]))
    return Face(corner + _CASCADE_POINTS * size, square, confidence)


def _reduced(photo: Colours) -> tuple[Colours, float]:
    factor = min(_LONGEST_SIDE / max(photo.shape[:2]), 1.0)
    if factor == 1.0:
        return photo, 1.0
    size = max(round(photo.shape[1] * factor), 1), max(round(photo.shape[0] * factor), 1)
    return cast("Colours", cv2.resize(photo, size, interpolation=cv2.INTER_AREA)), factor
