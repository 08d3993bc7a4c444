"""Photos on their way to a hosted model and back. The work is for worker threads."""

from __future__ import annotations

import base64
from dataclasses import dataclass, replace
from typing import cast

import cv2
import numpy as np

from relume.errors import OutputInvalid, RelumeError
from relume.imaging.decode import decode
from relume.imaging.encode import encode
from relume.imaging.limits import WIDE
from relume.imaging.photo import ImageFormat, Metadata, Photo, Pixels
from relume.imaging.resize import resize

_MAX_PNG_BYTES = 2_000_000
_MAX_UNEVENNESS = 0.05
"""How far the sides of a result may have grown apart: models round sides to multiples of a few pixels."""


@dataclass(frozen=True, slots=True)
class ImageFile:
    """An encoded photo, as models take it."""

    data: bytes
    format: ImageFormat

    @property
    def name(self) -> str:
        return f"photo.{self.format.extension}"

    @property
    def data_uri(self) -> str:
        return f"data:{self.format.media_type};base64,{base64.b64encode(self.data).decode()}"


def to_file(photo: Photo) -> ImageFile:
    """The pixels alone: where and when a photo was taken is no business of a hosted model.

    PNG, or JPEG where a PNG would be large. Transparency stays here, and is put back by `adopt`.
    """
    bare = replace(photo, alpha=None, metadata=Metadata())
    data = encode(bare, ImageFormat.PNG)
    if len(data) <= _MAX_PNG_BYTES:
        return ImageFile(data, ImageFormat.PNG)
    return ImageFile(encode(bare, ImageFormat.JPEG, 95), ImageFormat.JPEG)


def open_result(data: bytes, who: str) -> Photo:
    """Decode what a model made. Raises OutputInvalid for what is no image, or one of a single colour."""
    try:
        made = decode(data, WIDE)
    except RelumeError as error:
        raise OutputInvalid(f"{who} gave a file that is no image.") from error
    if _is_blank(made):
        raise OutputInvalid(f"{who} gave an empty image.")
    return made


def adopt(original: Photo, made: Photo, who: str) -> Photo:
    """The model's pixels as a new version of the original, at whatever size they came.

    Bit depth, transparency and metadata are the original's, and a greyscale photo stays one. Raises
    OutputInvalid when it is the original itself, or another shape.
    """
    growth_x, growth_y = made.width / original.width, made.height / original.height
    if abs(growth_x / growth_y - 1) > _MAX_UNEVENNESS and min(original.width, original.height) > 1:
        raise OutputInvalid(f"{who} gave an image of another shape.")
    pixels = _like(made.pixels, original)
    if pixels.shape == original.pixels.shape and np.array_equal(pixels, original.pixels):
        raise OutputInvalid(f"{who} gave the photo back as it was.")
    alpha = None if original.alpha is None else resize(original, made.width, made.height).alpha
    return original.with_pixels(pixels, alpha)


def _like(pixels: Pixels, original: Photo) -> Pixels:
    """As many channels and bits as the original has."""
    if original.is_greyscale and pixels.shape[2] == 3:
        pixels = cast("Pixels", cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)[..., None])
    elif not original.is_greyscale and pixels.shape[2] == 1:
        pixels = cast("Pixels", np.repeat(pixels, 3, axis=2))
    if pixels.dtype == original.pixels.dtype:
        return pixels
    if pixels.dtype == np.uint8:
        return pixels.astype(np.uint16) * np.uint16(257)
    return ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)


def _is_blank(photo: Photo) -> bool:
    """A filter's black picture, or a model's white one."""
    return photo.width * photo.height > 1 and bool((photo.pixels == photo.pixels[0, 0]).all())
