"""Pictures side by side, at a size that fits a page. Labels are short words; names stand in the report."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from relume.cli.evaluating.figures import eight_bits
from relume.imaging.photo import Photo
from relume.imaging.resize import resize

_LABEL_PX, _GAP_PX, _JPEG_QUALITY = 22, 6, 88
_PAPER, _INK = (250, 250, 250), (30, 30, 30)

Cell = tuple[str, Photo]


def strip(cells: Sequence[Cell], side: int) -> Image.Image:
    """Photos in one row, each at most `side` pixels wide and high, with its label above."""
    pictures = [(label, _fitted(photo, side)) for label, photo in cells]
    width = sum(picture.width + _GAP_PX for _, picture in pictures) + _GAP_PX
    height = max(picture.height for _, picture in pictures) + _LABEL_PX + 2 * _GAP_PX
    row = Image.new("RGB", (width, height), _PAPER)
    pen, font, left = ImageDraw.Draw(row), ImageFont.load_default(14), _GAP_PX
    for label, picture in pictures:
        pen.text((left, _GAP_PX), label, _INK, font)
        row.paste(picture, (left, _GAP_PX + _LABEL_PX))
        left += picture.width + _GAP_PX
    return row


def stacked(rows: Sequence[Image.Image]) -> Image.Image:
    sheet = Image.new("RGB", (max(row.width for row in rows), sum(row.height for row in rows)), _PAPER)
    top = 0
    for row in rows:
        sheet.paste(row, (0, top))
        top += row.height
    return sheet


def jpeg(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=_JPEG_QUALITY)
    return out.getvalue()


def _fitted(photo: Photo, side: int) -> Image.Image:
    share = min(1.0, side / max(photo.width, photo.height))
    small = resize(photo, max(round(photo.width * share), 1), max(round(photo.height * share), 1))
    pixels = eight_bits(small)
    if small.alpha is not None:
        cover = small.alpha[:, :, None].astype(np.float32) / small.white
        pixels = np.rint(pixels * cover + 255 * (1 - cover)).astype(np.uint8)
    return Image.fromarray(np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels)
