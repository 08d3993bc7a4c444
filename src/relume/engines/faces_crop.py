"""One face cut out upright, restored by a model, and put back where it was."""

from __future__ import annotations

from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from relume.engines.detect import Colours, Face, Points
from relume.engines.engine import Engine
from relume.engines.faces_mask import Values, eyes_mask, face_mask
from relume.imaging.photo import Pixels
from relume.imaging.resize import quantised
from relume.tasks import FaceRegion

_TEMPLATE_SIDE = 512
_TEMPLATE = np.array(
    [[192.98, 239.95], [318.90, 240.19], [256.63, 314.02], [201.26, 371.41], [313.09, 371.15]], np.float32
)
"""Where the five points lie in FFHQ's crop of 512 x 512, which GFPGAN was trained on (as facexlib has them)."""
_VISIBLE = 1 / 512


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


def side_of(engine: Engine) -> int:
    return engine.shape.side or _TEMPLATE_SIDE


def covered(pixels: Pixels, face: Face, engine: Engine) -> tuple[slice, slice] | None:
    """The part of `pixels` that the face's crop covers, or None where it covers nothing."""
    side = side_of(engine)
    rows, columns = _bounds(_aligned(face, side), side, pixels.shape)
    return None if rows.start >= rows.stop or columns.start >= columns.stop else (rows, columns)


def restore(pixels: Pixels, face: Face, engine: Engine, region: FaceRegion) -> None:
    """Change `pixels` where the face is, which must be within them."""
    side = side_of(engine)
    matrix = _aligned(face, side)
    rows, columns = _bounds(matrix, side, pixels.shape)
    white = np.float32(np.iinfo(pixels.dtype).max)
    crop = _cut_out(pixels, matrix, side) / white
    made = engine.run(np.ascontiguousarray(crop.transpose(2, 0, 1)[None]))[0].transpose(1, 2, 0)
    here = pixels[rows, columns]
    back = _moved(matrix, rows, columns)
    size = here.shape[1], here.shape[0]
    restored = _warped(np.ascontiguousarray(made), back, size)
    if pixels.shape[2] == 1:
        restored = np.asarray(cv2.cvtColor(restored, cv2.COLOR_RGB2GRAY), np.float32)[:, :, None]
    flat = face_mask(side) if region == "face" else eyes_mask(side, _in_crop(face, matrix))
    mask = _warped(flat, back, size)[:, :, None]
    values = here.astype(np.float32) / white
    values += mask * (restored - values)
    pixels[rows, columns] = np.where(mask > _VISIBLE, quantised(values, pixels.dtype), here)


def upright(pixels: Pixels, face: Face, side: int) -> tuple[Colours, Points]:
    """(side, side, 3), and where the face's points lie in it."""
    matrix = _aligned(face, side)
    white = np.float32(np.iinfo(pixels.dtype).max)
    crop = cast("Colours", quantised(_cut_out(pixels, matrix, side) / white, np.dtype(np.uint8)))
    return crop, _in_crop(face, matrix)


def _aligned(face: Face, side: int) -> NDArray[np.float64]:
    matrix = alignment(face.points, side)
    assert matrix is not None  # noqa: S101 (whoever calls has asked)
    return matrix


def _in_crop(face: Face, matrix: NDArray[np.float64]) -> Points:
    return np.asarray(face.points @ matrix[:, :2].T + matrix[:, 2], np.float32)


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
