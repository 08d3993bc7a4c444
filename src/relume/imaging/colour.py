"""Colour spaces other than RGB and greyscale, brought to sRGB."""

from __future__ import annotations

import io
from typing import Any

from PIL import Image, ImageCms


def to_srgb(image: Image.Image, icc_profile: bytes | None) -> Image.Image:
    """A CMYK or LAB picture as sRGB: through its profile, or by the plain formula without one.

    Inverted (Adobe) CMYK has been put right by the JPEG reader.
    """
    if image.mode == "LAB":
        return _convert(image, ImageCms.createProfile("LAB"))
    if icc_profile:
        try:
            return _convert(image, ImageCms.ImageCmsProfile(io.BytesIO(icc_profile)))
        except (ImageCms.PyCMSError, OSError, ValueError):
            pass  # A broken or foreign profile is as good as none.
    return image.convert("RGB")


def _convert(image: Image.Image, source: ImageCms.ImageCmsProfile | Any) -> Image.Image:
    converted = ImageCms.profileToProfile(
        image,
        source,
        ImageCms.createProfile("sRGB"),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        outputMode="RGB",
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    if converted is None:
        raise ValueError("no conversion")
    return converted
