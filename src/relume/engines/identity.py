"""Whether a restored face is still the same person's: by OpenCV's SFace, where its weights are here."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

from relume.engines.detect import Colours, Points

SAME_PERSON = 0.363
"""The cosine from which OpenCV's documentation of SFace takes two faces for one person's."""


class Recogniser(Protocol):
    @property
    def name(self) -> str: ...

    def similarity(self, before: Colours, after: Colours, points: Points) -> float:
        """The cosine of two pictures of a face, -1 to 1. Its points lie in the same places in both."""
        ...


class SFace:
    """Zhong et al.: SFace, sigmoid-constrained hypersphere loss for robust face recognition, 2021."""

    name = "SFace"

    def __init__(self, path: Path) -> None:
        """Raises cv2.error for a file that is not SFace."""
        self._net = cv2.FaceRecognizerSF.create(str(path), "")

    def similarity(self, before: Colours, after: Colours, points: Points) -> float:
        first, second = self._feature(before, points), self._feature(after, points)
        return float(self._net.match(first, second, cv2.FaceRecognizerSF_FR_COSINE))

    def _feature(self, photo: Colours, points: Points) -> Any:
        """A copy, because the net writes the next one to the same place."""
        height, width = photo.shape[:2]
        row = np.array([[0, 0, width, height, *points.ravel(), 1]], np.float32)  # As YuNet gives a face.
        upright = self._net.alignCrop(cv2.cvtColor(photo, cv2.COLOR_RGB2BGR), row)
        return np.array(self._net.feature(upright), np.float32)
