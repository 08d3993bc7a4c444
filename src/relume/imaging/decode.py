"""From a file to a photo: first frame, upright, within limits, or a RelumeError that says what was wrong.

Safe in several threads at once: decoders are called directly, not through Pillow's registry, and no
process-wide setting is touched.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from typing import cast

import cv2
import numpy as np
from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from relume.errors import RelumeError
from relume.imaging.containers import heif, jpeg, png, tiff
from relume.imaging.containers.header import Header, HeaderError
from relume.imaging.inspect import examine, unreadable
from relume.imaging.limits import MOBILE, Limits
from relume.imaging.metadata import upright_metadata
from relume.imaging.photo import ImageFormat, Photo, Pixels
from relume.imaging.rasters import Raster, from_array, from_pillow, upright

_PILLOW: dict[ImageFormat, Callable[[io.BytesIO], Image.Image]] = {
    ImageFormat.JPEG: JpegImagePlugin.JpegImageFile,
    ImageFormat.PNG: PngImagePlugin.PngImageFile,
    ImageFormat.WEBP: WebPImagePlugin.WebPImageFile,
    ImageFormat.AVIF: lambda file: heif.open_avif(file.getvalue()),
    ImageFormat.TIFF: TiffImagePlugin.TiffImageFile,
    ImageFormat.GIF: GifImagePlugin.GifImageFile,
    ImageFormat.BMP: BmpImagePlugin.BmpImageFile,
}
_STRIPPED: dict[ImageFormat, Callable[[bytes], bytes]] = {
    ImageFormat.JPEG: jpeg.pixels_only,
    ImageFormat.PNG: png.pixels_only,
    ImageFormat.TIFF: tiff.pixels_only,
}


_REDUCED = 8
"""The largest reduction that a JPEG decoder makes for nothing."""


def decode(data: bytes, limits: Limits = MOBILE, longest_at_least: int | None = None) -> Photo:
    """The photo in a file.

    With `longest_at_least`, a JPEG comes half, a quarter or an eighth as large, which spares time and memory, as
    long as its longest side keeps so many pixels.

    Raises ImageMissing, ImageTooLarge, UnsupportedFormat, ImageDimensions or ImageUnreadable.
    """
    format_, header = examine(data, limits)
    try:
        raster = upright(_raster(data, format_, header, longest_at_least), header.orientation)
    except RelumeError:
        raise
    except Exception as exc:  # Decoders of hostile bytes raise whatever they come across.
        raise unreadable(format_) from exc
    metadata = upright_metadata(header.metadata, keep_profile=not raster.is_converted)
    return Photo(raster.pixels, raster.alpha, metadata, format_)


def prove(data: bytes, limits: Limits = MOBILE) -> None:
    """Prove that `decode` would give a photo, at less cost where that is possible. Raises as it does.

    A JPEG is read to its end but only an eighth as large: its compressed data are all looked at, and the larger
    part of the work, which is to make pixels of them, is left out.
    """
    format_, header = examine(data, limits)
    if format_ is not ImageFormat.JPEG or header.channels > 3:
        decode(data, limits)
        return
    try:
        with JpegImagePlugin.JpegImageFile(io.BytesIO(jpeg.pixels_only(data))) as image:
            _check_promise(image.size, header)
            image.draft(None, (header.width // _REDUCED, header.height // _REDUCED))
            image.load()
    except Exception as exc:  # As in `decode`.
        raise unreadable(format_) from exc


def _raster(data: bytes, format_: ImageFormat, header: Header, longest_at_least: int | None = None) -> Raster:
    if format_ is ImageFormat.HEIC:
        return _heic(data, header)
    stripped = _STRIPPED.get(format_, bytes)(data)
    if header.bit_depth == 16 and header.channels > 1:
        return _sixteen_bit_colour(stripped, format_, header)
    with _PILLOW[format_](io.BytesIO(stripped)) as image:
        _check_promise(image.size, header)
        if format_ is ImageFormat.JPEG and longest_at_least is not None:
            scale = min(longest_at_least / max(image.size), 1)
            image.draft(None, (math.ceil(image.width * scale), math.ceil(image.height * scale)))
        image.load()
        raster = from_pillow(image, header.metadata.icc_profile)
    if format_ is ImageFormat.PNG and header.bit_depth == 16:
        return _with_transparent_colour(raster, stripped)
    return raster


def _check_promise(size: tuple[int, int], header: Header) -> None:
    """Raises HeaderError when the decoder is about to make another size than the header's."""
    if size != (header.width, header.height):
        raise HeaderError(f"the header says {header.width}x{header.height}, the decoder {size}")


def _heic(data: bytes, header: Header) -> Raster:
    """Libheif turns the pixels upright itself. 10-bit pictures are reduced to 8: the result is a JPEG."""
    picture = heif.open_heic(data)
    picture.load()
    _check_promise(picture.size, header)
    return from_array(cast("Pixels", np.asarray(picture)))


def _sixteen_bit_colour(stripped: bytes, format_: ImageFormat, header: Header) -> Raster:
    """Pillow reduces 16-bit colour to 8, OpenCV does not. It gives None for pixel data that ends early."""
    if format_ is ImageFormat.PNG:
        _check_no_bomb(stripped, header)
    bgr = cv2.imdecode(np.frombuffer(stripped, np.uint8), cv2.IMREAD_UNCHANGED)
    if bgr is None or bgr.dtype != np.uint16:
        raise HeaderError("not decoded as 16-bit")
    _check_promise((bgr.shape[1], bgr.shape[0]), header)
    if header.channels == 2:
        return from_array(cast("Pixels", bgr[:, :, [0, -1]]))
    code = cv2.COLOR_BGRA2RGBA if bgr.shape[2] == 4 else cv2.COLOR_BGR2RGB
    raster = from_array(cast("Pixels", cv2.cvtColor(bgr, code, dst=bgr)))
    return _with_transparent_colour(raster, stripped) if format_ is ImageFormat.PNG else raster


def _check_no_bomb(stripped: bytes, header: Header) -> None:
    """Libpng inflates all there is before OpenCV returns: 15 MB could keep it busy for half a minute."""
    pixel_bytes = header.width * header.height * header.channels * 2
    filter_bytes = 2 * header.height + 16  # One a row; interlaced pictures have up to twice as many rows.
    if png.inflates_beyond(stripped, pixel_bytes + filter_bytes):
        raise HeaderError("more pixel data than the header says")


def _with_transparent_colour(raster: Raster, stripped: bytes) -> Raster:
    """Apply a 16-bit PNG's tRNS, which names one colour as transparent."""
    colour = png.transparent_colour(stripped)
    if raster.alpha is not None or colour is None or len(colour) != raster.pixels.shape[2]:
        return raster
    is_transparent = (raster.pixels == np.array(colour, np.uint16)).all(axis=2)
    alpha = np.where(is_transparent, np.uint16(0), np.uint16(65535))
    return raster._replace(alpha=alpha if is_transparent.any() else None)
