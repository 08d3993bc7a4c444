"""The contact sheet of quality.py: crops at 200 %, side by side."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

CROP, ZOOM, MARGIN, LINE = 120, 2, 8, 18


@dataclass(frozen=True)
class Strip:
    title: str
    pictures: dict[str, np.ndarray[Any, Any]]


def contact_sheet(strips: list[Strip], path: Path) -> None:
    """One line for each strip: the part of the photo in which most happens, as each made it."""
    side = CROP * ZOOM
    columns = max((len(strip.pictures) for strip in strips), default=1)
    height = side + 2 * LINE + MARGIN
    sheet = Image.new("RGB", (columns * (side + MARGIN) + MARGIN, max(1, len(strips)) * height), "white")
    draw = ImageDraw.Draw(sheet)
    for row, strip in enumerate(strips):
        top = row * height
        draw.text((MARGIN, top + 2), strip.title, fill="black")
        at = _liveliest(strip)
        for column, (label, pixels) in enumerate(strip.pictures.items()):
            left = MARGIN + column * (side + MARGIN)
            draw.text((left, top + LINE), label, fill="black")
            crop = np.ascontiguousarray(np.broadcast_to(pixels[at], (*pixels[at].shape[:2], 3)))
            picture = Image.fromarray(crop).resize(
                (crop.shape[1] * ZOOM, crop.shape[0] * ZOOM), Image.Resampling.NEAREST
            )
            sheet.paste(picture, (left, top + 2 * LINE))
    sheet.save(path)


def _liveliest(strip: Strip) -> tuple[slice, slice]:
    """The crop of a coarse grid in which before and truth differ most."""
    first, *_, last = strip.pictures.values()
    error = np.abs(first.astype(np.float32) - last).mean(axis=2)
    best, at = -1.0, (slice(0, CROP), slice(0, CROP))
    for top in range(0, max(1, error.shape[0] - CROP), CROP // 2):
        for left in range(0, max(1, error.shape[1] - CROP), CROP // 2):
            window = slice(top, top + CROP), slice(left, left + CROP)
            if error[window].mean() > best:
                best, at = float(error[window].mean()), window
    return at
