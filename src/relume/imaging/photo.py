"""The photo as every step sees it: upright pixels, transparency and what the file said about itself."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8] | NDArray[np.uint16]


class ImageFormat(StrEnum):
    JPEG = "jpeg"
    PNG = "png"
    WEBP = "webp"
    HEIC = "heic"
    GIF = "gif"
    AVIF = "avif"
    TIFF = "tiff"
    BMP = "bmp"

    @property
    def media_type(self) -> str:
        return f"image/{self.value}"

    @property
    def extension(self) -> str:
        return "jpg" if self is ImageFormat.JPEG else self.value


@dataclass(frozen=True, slots=True)
class Metadata:
    """What travels with the pixels from the input to the result, byte for byte where it can."""

    exif: bytes | None = None
    """EXIF as a TIFF block without the `Exif\\0\\0` prefix; orientation 1, no thumbnail."""
    icc_profile: bytes | None = None
    xmp: bytes | None = None
    dpi: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Photo:
    """A decoded photo.

    `pixels`: (height, width, 1) for greyscale or (height, width, 3) for RGB, uint8 or uint16, upright.
    `alpha`: (height, width) of the same dtype, or None when the file has none. An opaque one
    is kept: alpha stays alpha.
    Arrays are never written to: a step returns a new photo.
    """

    pixels: Pixels
    alpha: Pixels | None = None
    metadata: Metadata = field(default_factory=Metadata)
    source_format: ImageFormat = ImageFormat.PNG

    @property
    def width(self) -> int:
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        return int(self.pixels.shape[0])

    @property
    def is_greyscale(self) -> bool:
        """Whether the file has one channel. An RGB photo without colour is not greyscale in this sense."""
        return bool(self.pixels.shape[2] == 1)

    @property
    def white(self) -> int:
        """The value of white: 255 or 65535."""
        return int(np.iinfo(self.pixels.dtype).max)

    def with_pixels(self, pixels: Pixels, alpha: Pixels | None = None) -> Photo:
        """The same photo with other pixels. `alpha` None keeps the present one, whose size must then fit."""
        return replace(self, pixels=pixels, alpha=self.alpha if alpha is None else alpha)
