"""Photos on their way to a foreign model and back: nothing but pixels leaves, everything else is put back.

The work is for worker threads. Whether what came back counts as a result is for `verify` to say.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from relume.errors import OutputInvalid, RelumeError
from relume.imaging.decode import decode
from relume.imaging.encode import encode
from relume.imaging.limits import WIDE
from relume.imaging.photo import ImageFormat, Metadata, Photo, Pixels
from relume.imaging.resize import resize

_MAX_PNG_BYTES = 2_000_000
_JPEG_QUALITY = 95


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


def outgoing(photo: Photo) -> ImageFile:
    """The pixels alone: where and when a photo was taken is no business of a foreign model.

    8 bits, because most models read no more and some take more for white. PNG, or JPEG where a PNG would be
    large. Transparency stays here, and is put back by `incoming`.
    """
    bare = Photo(_eight_bit(photo.pixels), None, Metadata(), ImageFormat.PNG)
    data = encode(bare, ImageFormat.PNG)
    if len(data) <= _MAX_PNG_BYTES:
        return ImageFile(data, ImageFormat.PNG)
    return ImageFile(encode(bare, ImageFormat.JPEG, _JPEG_QUALITY), ImageFormat.JPEG)


def incoming(data: bytes, original: Photo, service: str) -> Photo:
    """A model's picture as the successor of `original`, at whatever size it came.

    Channels, bit depth, transparency and metadata are the original's: of a 16-bit picture nothing is lost to
    a 16-bit original. Raises OutputInvalid for what is no picture.
    """
    made = _decoded(data, service)
    pixels = _at_depth(_in_channels(made.pixels, original), original)
    return original.with_pixels(pixels, _alpha(original, made.width, made.height))


def drawn(data: bytes, width: int, height: int, service: str) -> Photo:
    """A picture made from a prompt, cropped around its middle and resized to exactly the wanted size.

    Raises OutputInvalid.
    """
    made = _decoded(data, service)
    pixels = _eight_bit(made.pixels)
    pixels = np.repeat(pixels, 3, axis=2) if made.is_greyscale else pixels
    image = ImageOps.fit(Image.fromarray(pixels), (width, height), Image.Resampling.LANCZOS)
    return Photo(np.asarray(image), None, Metadata(), ImageFormat.PNG)


def _decoded(data: bytes, service: str) -> Photo:
    try:
        return decode(data, WIDE)
    except RelumeError as error:
        raise OutputInvalid(f"{service} gave no picture.") from error


def _in_channels(pixels: Pixels, original: Photo) -> Pixels:
    if original.is_greyscale and pixels.shape[2] == 3:
        return cast("Pixels", cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)[:, :, None])
    if not original.is_greyscale and pixels.shape[2] == 1:
        return cast("Pixels", np.repeat(pixels, 3, axis=2))
    return pixels


def _at_depth(pixels: Pixels, original: Photo) -> Pixels:
    if pixels.dtype == original.pixels.dtype:
        return pixels
    return _eight_bit(pixels) if pixels.dtype == np.uint16 else pixels.astype(np.uint16) * np.uint16(257)


def _alpha(original: Photo, width: int, height: int) -> Pixels | None:
    if original.alpha is None:
        return None
    return resize(Photo(original.alpha[:, :, None]), width, height).pixels[:, :, 0]


def _eight_bit(samples: Pixels) -> NDArray[np.uint8]:
    if samples.dtype == np.uint8:
        return cast("NDArray[np.uint8]", samples)
    return np.rint(samples / np.float32(257)).astype(np.uint8)
