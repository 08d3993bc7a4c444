"""HEIC and AVIF (ISO/IEC 23008-12), through libheif and libavif: their headers are too deep to read by hand.

What turns the pixels is the container's own rotation and mirroring (`irot`, `imir`); the EXIF orientation
says the same once more and is not to be applied again. libheif turns the pixels itself. Pillow's AVIF
reader does not: it writes the container's turn over the EXIF orientation.
"""

from __future__ import annotations

import io
import re
from dataclasses import replace
from functools import cache
from types import ModuleType
from typing import Any

from PIL import AvifImagePlugin, Image

from relume.imaging.containers.exif import exif_dpi, exif_orientation
from relume.imaging.containers.header import (
    MAX_EXIF_BYTES,
    MAX_ICC_BYTES,
    MAX_XMP_BYTES,
    Header,
    HeaderError,
    bounded,
)
from relume.imaging.photo import Metadata

# An item information entry: version and flags, item id of 2 or 4 bytes, protection, type.
_EXIF_ITEM = re.compile(rb"(infe.{4}(?:.{2}|.{4}).{2})Exif", re.DOTALL)

_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_HEVC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"})
_NEUTRAL_BRANDS = frozenset({b"mif1", b"msf1", b"miaf", b"mif2"})


def codec(data: bytes) -> str | None:
    """`avif`, `heic`, or None for any other file. A neutral major brand is settled by the compatible ones."""
    if data[4:8] != b"ftyp":
        return None
    length = min(int.from_bytes(data[:4]), 1024)
    brands = [data[8:12], *(data[position : position + 4] for position in range(16, length - 3, 4))]
    if brands[0] not in _AVIF_BRANDS | _HEVC_BRANDS | _NEUTRAL_BRANDS:
        return None
    return next(
        (
            "avif" if brand in _AVIF_BRANDS else "heic"
            for brand in brands
            if brand in _AVIF_BRANDS | _HEVC_BRANDS
        ),
        "heic" if brands[0] in _NEUTRAL_BRANDS else None,
    )


def read_heic(data: bytes) -> Header:
    picture = open_heic(data)
    return _header(picture.size, picture.info)


def read_avif(data: bytes) -> Header:
    image = open_avif(data)
    header = _header(image.size, image.info)
    return replace(header, orientation=exif_orientation(header.metadata.exif))


def open_avif(data: bytes) -> Image.Image:
    """The picture, not decoded yet. Pillow parses EXIF on the way and stumbles over a broken one."""
    try:
        return AvifImagePlugin.AvifImageFile(io.BytesIO(data))
    except Exception:  # noqa: BLE001  # Includes its warnings, where those are errors.
        return AvifImagePlugin.AvifImageFile(io.BytesIO(_EXIF_ITEM.sub(rb"\1free", data, count=1)))


def open_heic(data: bytes) -> Any:
    """The primary picture, not decoded yet. libheif's own limits on boxes, items and memory stay on."""
    container = _pillow_heif().open_heif(data, convert_hdr_to_8bit=True)
    if not len(container):
        raise HeaderError("no picture")
    return container[container.primary_index]


@cache
def _pillow_heif() -> ModuleType:
    """Loaded with the first HEIC, since libheif is 20 MB. Thumbnails, depth maps and masks are left alone."""
    import pillow_heif

    pillow_heif.options.THUMBNAILS = False
    pillow_heif.options.DEPTH_IMAGES = False
    pillow_heif.options.AUX_IMAGES = False
    return pillow_heif


def _header(size: tuple[int, int], info: dict[Any, Any]) -> Header:
    exif = bounded((info.get("exif") or b"").removeprefix(b"Exif\0\0"), MAX_EXIF_BYTES)
    metadata = Metadata(
        exif=exif,
        icc_profile=bounded(info.get("icc_profile"), MAX_ICC_BYTES),
        xmp=bounded(info.get("xmp"), MAX_XMP_BYTES),
        dpi=exif_dpi(exif),
    )
    return Header(*size, metadata=metadata)
