"""Faces cut out upright, restored by a model, and put back into the photo around them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from relume.engines.detect import Colours, Detector, Face
from relume.engines.engine import Engine
from relume.imaging.photo import Photo, Pixels
from relume.imaging.resize import quantised
from relume.ports import RunContext, StepReport

NAME = "restore_faces"

_TEMPLATE_SIDE = 512
_TEMPLATE = np.array(
    [[192.98, 239.95], [318.90, 240.19], [256.63, 314.02], [201.26, 371.41], [313.09, 371.15]], np.float32
)
"""Where the five points lie in FFHQ's crop of 512 x 512, which GFPGAN was trained on (as facexlib has them)."""
_FEATHER = 0.08
"""Of the crop's side: how wide the restored face fades into the photo."""
_EDGE = 0.04
"""Of the crop's side: the rim that is never used, because models are weak at their borders."""
_LARGEST = 2.0
"""A face this many times larger than the model's crop has more detail than the model makes."""
_VISIBLE = 1 / 512
Values = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class FaceRules:
    """Which faces are left alone."""

    min_pixels: int = 40
    """Width in the original photo."""
    min_confidence: float = 0.7


@dataclass(frozen=True, slots=True)
class FoundFaces:
    detector: str
    faces: tuple[Face, ...]


def find_faces(photo: Photo, detector: Detector) -> FoundFaces:
    return FoundFaces(detector.name, tuple(detector.find(_colours(photo))))


def restore_faces(
    photo: Photo, found: FoundFaces, growth: float, engine: Engine, rules: FaceRules, context: RunContext
) -> tuple[Photo, tuple[StepReport, ...]]:
    """Put restored faces into `photo`, which is `growth` times the size that the faces were found in.

    Pixels outside the faces' soft masks stay what they are, and so do greyscale, bit depth and alpha.
    One report for each face, and one where there is none. Raises JobCancelled, MemoryError.
    """
    if not found.faces:
        return photo, (StepReport(NAME, False, f"{found.detector} found no face.", 1.0),)
    pixels: Pixels | None = None
    reports = []
    for number, face in enumerate(found.faces):
        context.progress(number / len(found.faces), NAME)
        started = time.perf_counter()
        enlarged = face.scaled(growth)
        reason = _left_alone(face, enlarged, engine, rules)
        if reason is None:
            pixels = photo.pixels.copy() if pixels is None else pixels
            _restore(pixels, enlarged, engine)
        detail = _sentence(face, number, len(found.faces), reason)
        seconds = time.perf_counter() - started
        reports.append(StepReport(NAME, reason is None, detail, round(face.confidence, 3), seconds))
    return (photo if pixels is None else photo.with_pixels(pixels)), tuple(reports)


def alignment(points: NDArray[np.float32], side: int) -> NDArray[np.float64] | None:
    """(2, 3): turns, scales and moves a face's points onto the template in a crop of `side` pixels.

    The least-squares similarity (Umeyama, 1991). None for points that lie in one place.
    """
    template = _TEMPLATE.astype(np.float64) * side / _TEMPLATE_SIDE
    given = points.astype(np.float64)
    given_middle, wanted_middle = given.mean(0), template.mean(0)
    given, wanted = given - given_middle, template - wanted_middle
    spread = float((given**2).sum())
    if spread < 1e-6:
        return None
    turned = float((given * wanted).sum())
    crossed = float((given[:, 0] * wanted[:, 1] - given[:, 1] * wanted[:, 0]).sum())
    cosine, sine = turned / spread, crossed / spread
    matrix = np.array([[cosine, -sine], [sine, cosine]])
    return np.column_stack([matrix, wanted_middle - matrix @ given_middle])


def _left_alone(face: Face, enlarged: Face, engine: Engine, rules: FaceRules) -> str | None:
    """Why a face is not touched, or None."""
    if face.confidence < rules.min_confidence:
        return "it is too uncertain that it is a face"
    if face.width < rules.min_pixels:
        return f"it is smaller than {rules.min_pixels} pixels"
    matrix = alignment(enlarged.points, engine.shape.side or _TEMPLATE_SIDE)
    if matrix is None:
        return "its eyes and mouth were not found"
    if np.hypot(matrix[0, 0], matrix[1, 0]) * _LARGEST < 1:
        return "it has more detail than the model could give it"
    return None


def _restore(pixels: Pixels, face: Face, engine: Engine) -> None:
    """Change `pixels` where the face is."""
    side = engine.shape.side or _TEMPLATE_SIDE
    matrix = alignment(face.points, side)
    assert matrix is not None  # noqa: S101 (asked before)
    rows, columns = _bounds(matrix, side, pixels.shape)
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return
    white = np.float32(np.iinfo(pixels.dtype).max)
    crop = _cut_out(pixels, matrix, side) / white
    made = engine.run(np.ascontiguousarray(crop.transpose(2, 0, 1)[None]))[0].transpose(1, 2, 0)
    here = pixels[rows, columns]
    back = _moved(matrix, rows, columns)
    size = here.shape[1], here.shape[0]
    restored = _warped(np.ascontiguousarray(made), back, size)
    if pixels.shape[2] == 1:
        restored = np.asarray(cv2.cvtColor(restored, cv2.COLOR_RGB2GRAY), np.float32)[:, :, None]
    mask = _warped(_mask(side), back, size)[:, :, None]
    values = here.astype(np.float32) / white
    values += mask * (restored - values)
    pixels[rows, columns] = np.where(mask > _VISIBLE, quantised(values, pixels.dtype), here)


def _cut_out(pixels: Pixels, matrix: NDArray[np.float64], side: int) -> Values:
    """(side, side, 3), in levels. A face that is shrunk is averaged first, or its lines would turn ragged."""
    rows, columns = _bounds(matrix, side, pixels.shape)
    part = pixels[rows, columns].astype(np.float32)
    part = part if part.shape[2] == 3 else np.repeat(part, 3, axis=2)
    shrink = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    if shrink < 1:
        sigma = 0.5 * (1 / shrink - 1)
        part = np.asarray(cv2.GaussianBlur(part, (0, 0), sigma), np.float32) if sigma > 0.1 else part
    inverse = _moved(matrix, rows, columns)
    return np.asarray(
        cv2.warpAffine(
            part,
            inverse,
            (side, side),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REFLECT_101,
        ),
        np.float32,
    )


def _bounds(matrix: NDArray[np.float64], side: int, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """The part of the photo that the crop covers."""
    inverse = cv2.invertAffineTransform(matrix)
    corners = np.array([[0, 0, 1], [side, 0, 1], [0, side, 1], [side, side, 1]], np.float64) @ inverse.T
    low = np.floor(corners.min(0)).astype(int) - 1
    high = np.ceil(corners.max(0)).astype(int) + 2
    columns = slice(max(int(low[0]), 0), min(int(high[0]), shape[1]))
    rows = slice(max(int(low[1]), 0), min(int(high[1]), shape[0]))
    return rows, columns


def _moved(matrix: NDArray[np.float64], rows: slice, columns: slice) -> NDArray[np.float64]:
    """From the crop to the part of the photo that starts at these rows and columns."""
    inverse = np.asarray(cv2.invertAffineTransform(matrix), np.float64)
    inverse[:, 2] -= (columns.start, rows.start)
    return inverse


def _warped(values: Values, matrix: NDArray[np.float64], size: tuple[int, int]) -> Values:
    shrink = float(np.hypot(matrix[0, 0], matrix[1, 0])) < 1
    flags = cv2.INTER_AREA if shrink else cv2.INTER_CUBIC
    warped: Any = cv2.warpAffine(
        values,
        matrix,
        size,
        flags=flags if values.ndim == 3 else cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
    )
    return cast("Values", np.asarray(warped, np.float32))


def _mask(side: int) -> Values:
    """(side, side), 0 to 1: a rounded square that fades at its rim, 0 at the border itself."""
    edge, feather = round(side * _EDGE), side * _FEATHER
    axis = np.minimum(np.arange(side), np.arange(side)[::-1]) - edge
    ramp = np.clip(axis / feather, 0, 1)
    smooth = ramp * ramp * (3 - 2 * ramp)
    return np.asarray(np.outer(smooth, smooth), np.float32)


def _colours(photo: Photo) -> Colours:
    pixels = photo.pixels
    if pixels.dtype != np.uint8:
        pixels = (pixels >> 8).astype(np.uint8)
    return cast("Colours", pixels if pixels.shape[2] == 3 else np.repeat(pixels, 3, axis=2))


def _sentence(face: Face, number: int, count: int, reason: str | None) -> str:
    x, y = face.points.mean(0)
    where = f"Face {number + 1} of {count}, {face.width:.0f} pixels wide around ({x:.0f}, {y:.0f})"
    return f"{where}, was restored." if reason is None else f"{where}, was left alone: {reason}."
