"""Photos on their way to a foreign model and back: nothing but pixels leaves, everything else is put back."""

from __future__ import annotations

from dataclasses import replace
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

_MAX_STRETCH = 0.02
"""How far the sides' ratio may be off by rounding: models pad small photos to multiples of 8 or 16."""


def outgoing(photo: Photo) -> bytes:
    """The photo as an 8-bit PNG without transparency, and without what its metadata tells of people and places."""
    return encode(Photo(_eight_bit(photo.pixels), None, Metadata(), ImageFormat.PNG), ImageFormat.PNG)


def incoming(data: bytes, photo: Photo, scale: int, service: str) -> Photo:
    """A model's picture as the successor of `photo`: exactly `scale` times its size, its metadata, channels, alpha.

    8 bits. Raises OutputInvalid for what is no picture, or shows another section of the photo.
    """
    made = _decoded(data, service)
    stretch = (made.width * photo.height) / (made.height * photo.width)
    if abs(stretch - 1) > _MAX_STRETCH:
        raise OutputInvalid(f"{service} gave a picture of another shape.")
    width, height = photo.width * scale, photo.height * scale
    pixels = resize(replace(made, alpha=None), width, height).pixels
    return photo.with_pixels(_like(pixels, photo), _alpha(photo, width, height))


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


def _like(pixels: Pixels, photo: Photo) -> Pixels:
    """In the channels of `photo`, and in 8 bits."""
    pixels = _eight_bit(pixels)
    if photo.is_greyscale and pixels.shape[2] == 3:
        return cast("Pixels", cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)[:, :, None])
    if not photo.is_greyscale and pixels.shape[2] == 1:
        return cast("Pixels", np.repeat(pixels, 3, axis=2))
    return pixels


def _alpha(photo: Photo, width: int, height: int) -> Pixels | None:
    if photo.alpha is None:
        return None
    plane = Photo(photo.alpha[:, :, None])
    return _eight_bit(resize(plane, width, height).pixels)[:, :, 0]


def _eight_bit(samples: Pixels) -> NDArray[np.uint8]:
    if samples.dtype == np.uint8:
        return cast("NDArray[np.uint8]", samples)
    return np.rint(samples / np.float32(257)).astype(np.uint8)
