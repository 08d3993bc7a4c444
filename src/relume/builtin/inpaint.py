"""Fill what a mask marks as lost, from what surrounds it, with the surroundings' grain."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from relume.builtin.exemplar import fill_from_alike
from relume.builtin.levels import Levels, Mask, from_levels, to_levels
from relume.builtin.measure import Damage
from relume.imaging.photo import Photo, Pixels
from relume.imaging.tiles import map_tiles
from relume.ports import RunContext, StepReport

NAME = "repair_damage"

_TILE = 512
_OVERLAP = 64
_RADIUS = 4.0
_GRAIN_BLUR_SIGMA = 1.2
_LARGEST_STRIDE = 24  # pixels; grain from further away is another texture
_DONOR_STEPS = ((0, -1), (0, 1), (-1, 0), (1, 0), (-1, -1), (-1, 1), (1, -1), (1, 1))


def repair(photo: Photo, damage: Damage, context: RunContext) -> tuple[Photo, StepReport]:
    """Fill scratches, creases and dust. Raises JobCancelled."""
    scratches = damage.scratches
    if not scratches.mask.any():
        detail = "No scratches, creases or dust that are certain enough to touch."
        return photo, StepReport(NAME, False, detail, scratches.confidence)
    channels = photo.pixels.shape[2]

    def fill(tile: Pixels) -> Pixels:
        pixels, lost = tile[..., :channels], tile[..., channels] > 0
        if not lost.any() or lost.all():
            return pixels
        filled = from_levels(inpaint(to_levels(pixels), lost), pixels.dtype)
        return np.where(lost[..., None], filled, pixels)

    pixels = map_tiles(
        np.concatenate([photo.pixels, scratches.mask[..., None].astype(photo.pixels.dtype)], axis=2),
        fill,
        tile=_TILE,
        overlap=_OVERLAP,
        on_tile=lambda done, total: context.progress(done / total, NAME),
    )
    detail = f"Filled scratches, creases or dust on {100 * scratches.share:.2f} % of the photo."
    return photo.with_pixels(pixels), StepReport(NAME, True, detail, scratches.confidence)


def inpaint(levels: Levels, mask: Mask) -> Levels:
    """(height, width, channels) with the masked pixels filled.

    Shade by Telea, "An image inpainting technique based on the fast marching method" (2004), one channel at
    a time; edges and texture from like places (`fill_from_alike`); what then is still missing of the grain is
    copied from the nearest like place, area by area.
    """
    holes = mask.astype(np.uint8)
    planes = [np.ascontiguousarray(levels[..., channel]) for channel in range(levels.shape[2])]
    fills = [cv2.inpaint(plane, holes, _RADIUS, cv2.INPAINT_TELEA) for plane in planes]
    filled = fill_from_alike(levels, mask, np.stack(fills, axis=-1).astype(np.float32))
    grain, detail = _grain(levels, mask), filled - _blurred(filled)
    _, labels, boxes, _ = cv2.connectedComponentsWithStats(holes, connectivity=8)
    for index, (left, top, width, height, _) in enumerate(boxes[1:], start=1):
        where = slice(top, top + height), slice(left, left + width)
        shape = labels[where] == index
        donor = _donor(filled, mask, where, shape)
        if donor is not None:
            added = grain[donor][shape]
            filled[where][shape] += _missing_share(added, detail[where][shape]) * added
    return filled


def _missing_share(wanted: Levels, present: Levels) -> float:
    """How much of the wanted grain to add to what is there: independent grains add up by their squares."""
    power, there = float(np.mean(wanted**2)), float(np.mean(present**2))
    return max(0.0, 1 - there / power) ** 0.5 if power > 0 else 0.0


def _blurred(levels: Levels) -> Levels:
    soft: Any = cv2.GaussianBlur(levels, (0, 0), _GRAIN_BLUR_SIGMA)
    result: Levels = soft.reshape(levels.shape)
    return result


def _grain(levels: Levels, mask: Mask) -> Levels:
    """What a slight blur takes away, 0 in the mask. The mask's own pixels do not leak into the blur."""
    known = (~mask).astype(np.float32)[..., None]
    shade, cover = _blurred(levels * known), _blurred(known)
    grain: Levels = np.where(known > 0, levels - shade / np.maximum(cover, 1e-3), 0).astype(np.float32)
    return grain


def _donor(filled: Levels, mask: Mask, where: tuple[slice, slice], shape: Mask) -> tuple[slice, slice] | None:
    """The unmasked place of the same shape nearby whose colours come closest to the fill's."""
    rows, columns = where
    best, least = None, np.inf
    for down, right in _DONOR_STEPS:
        for distance in (1.0, 1.5, 2.5):
            shift_rows = round(down * (min(shape.shape[0], _LARGEST_STRIDE) * distance + 3))
            shift_columns = round(right * (min(shape.shape[1], _LARGEST_STRIDE) * distance + 3))
            top, left = rows.start + shift_rows, columns.start + shift_columns
            there = slice(top, top + shape.shape[0]), slice(left, left + shape.shape[1])
            if top < 0 or left < 0 or there[0].stop > mask.shape[0] or there[1].stop > mask.shape[1]:
                continue
            overlap = np.count_nonzero(mask[there] & shape) / np.count_nonzero(shape)
            difference = float(np.abs(filled[there][shape] - filled[where][shape]).mean()) + 100 * overlap
            if difference < least:
                best, least = there, difference
    return best
