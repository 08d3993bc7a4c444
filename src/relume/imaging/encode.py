"""From a photo to a file, with its metadata."""

from __future__ import annotations

import io
import struct
import zlib
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from relume.errors import UnsupportedFormat
from relume.imaging.containers import jpeg, png
from relume.imaging.containers.png_writer import write_png
from relume.imaging.metadata import metadata_to_write
from relume.imaging.photo import ImageFormat, Metadata, Photo, Pixels
from relume.imaging.provenance import mark_alone

_JPEG_RESULTS = frozenset({ImageFormat.JPEG, ImageFormat.HEIC, ImageFormat.AVIF})
_BAND_ROWS = 256
_MAX_SEGMENT_BYTES = 65533  # A JPEG segment's length field holds 65535 and counts its own two bytes.
_ICC_PART_BYTES = _MAX_SEGMENT_BYTES - len(jpeg.ICC_PREFIX) - 2

# Peak memory beyond the photo, measured: 1.0 GB for a JPEG of 16384x16384 (a photo of 0.8 GB), 0.2 GB for
# a PNG of 8192x8192 (0.2 GB).
#
# Progressive and optimised JPEG keep every coefficient in memory: 6 bytes a pixel in colour, 1.6 GB at
# 16384x16384. On a 16-megapixel photo they save 15 % of the bytes and take 0.7 s instead of 0.1 s.
_MAX_PROGRESSIVE_PIXELS = 64_000_000


def result_format(source: ImageFormat) -> ImageFormat:
    """JPEG for what came in a format made for photos and lossy by habit, PNG for all others."""
    return ImageFormat.JPEG if source in _JPEG_RESULTS else ImageFormat.PNG


def encode(photo: Photo, format_: ImageFormat, quality: int = 95) -> bytes:
    """The photo as a JPEG, PNG or WebP file.

    JPEG: 8 bits, 4:4:4, alpha over white. PNG: as the photo is, `quality` does not matter. WebP: 8 bits,
    lossless at quality 100. Raises UnsupportedFormat for formats we do not write.
    """
    metadata = metadata_to_write(photo)
    if format_ is ImageFormat.JPEG:
        return _jpeg(photo, metadata, quality)
    if format_ is ImageFormat.PNG:
        return write_png(photo.pixels, photo.alpha, *_chunks(metadata))
    if format_ is ImageFormat.WEBP:
        return _webp(photo, metadata, quality)
    raise UnsupportedFormat(f"Results are not written as {format_.name}.")


def _jpeg(photo: Photo, metadata: Metadata, quality: int) -> bytes:
    options = [cv2.IMWRITE_JPEG_QUALITY, quality]
    options += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    if photo.width * photo.height <= _MAX_PROGRESSIVE_PIXELS:
        options += [cv2.IMWRITE_JPEG_PROGRESSIVE, 1, cv2.IMWRITE_JPEG_OPTIMIZE, 1]
    pixels = photo.pixels if photo.alpha is None else _over_white(photo.pixels, photo.alpha)
    _, buffer = cv2.imencode(".jpg", _bgr(_eight_bit(pixels)), options)
    encoded = buffer.data
    jfif_end = 4 + int.from_bytes(encoded[4:6])  # The first segment, which OpenCV always writes.
    jfif = bytearray(encoded[2:jfif_end])
    if metadata.dpi:
        x, y = (min(max(round(value), 1), 65535) for value in metadata.dpi)
        struct.pack_into(">BHH", jfif, 11, 1, x, y)
    return b"".join((encoded[:2], jfif, *_segments(metadata), encoded[jfif_end:]))


def _segments(metadata: Metadata) -> list[bytes]:
    """EXIF, XMP and ICC as application segments.

    EXIF or XMP that does not fit into one is left out, but for the mark that says AI took part.
    """
    segments = []
    xmp = metadata.xmp or b""
    if len(jpeg.XMP_PREFIX) + len(xmp) > _MAX_SEGMENT_BYTES:
        xmp = mark_alone(xmp) or b""
    for prefix, block in ((jpeg.EXIF_PREFIX, metadata.exif), (jpeg.XMP_PREFIX, xmp)):
        if block and len(prefix) + len(block) <= _MAX_SEGMENT_BYTES:
            segments.append(_segment(0xE1, prefix + block))
    profile = metadata.icc_profile or b""
    parts = [profile[start : start + _ICC_PART_BYTES] for start in range(0, len(profile), _ICC_PART_BYTES)]
    for number, part in enumerate(parts, 1):
        segments.append(_segment(0xE2, jpeg.ICC_PREFIX + bytes((number, len(parts))) + part))
    return segments


def _segment(marker: int, payload: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload


def _chunks(metadata: Metadata) -> list[bytes | memoryview]:
    chunks: list[bytes | memoryview] = []
    if metadata.icc_profile:
        chunks += png.write_chunk(b"iCCP", b"ICC Profile\0\0" + zlib.compress(metadata.icc_profile))
    if metadata.dpi:
        x, y = (min(round(value / png.METRES_PER_INCH), 2**31 - 1) for value in metadata.dpi)
        chunks += png.write_chunk(b"pHYs", struct.pack(">IIB", x, y, 1))
    if metadata.xmp:
        chunks += png.write_chunk(b"iTXt", png.XMP_KEYWORD + bytes(5) + metadata.xmp)
    if metadata.exif:
        chunks += png.write_chunk(b"eXIf", metadata.exif)
    return chunks


def _webp(photo: Photo, metadata: Metadata, quality: int) -> bytes:
    colours = [_eight_bit(photo.pixels)] * (3 if photo.is_greyscale else 1)
    alpha = [] if photo.alpha is None else [_eight_bit(photo.alpha)[:, :, None]]
    image = Image.fromarray(np.concatenate([*colours, *alpha], axis=2))
    blocks = {"exif": metadata.exif, "icc_profile": metadata.icc_profile, "xmp": metadata.xmp}
    kept = {name: block for name, block in blocks.items() if block}
    target = io.BytesIO()
    image.save(target, "WEBP", lossless=quality >= 100, quality=quality, method=4, exact=True, **kept)
    return target.getvalue()


def _bgr(pixels: Pixels) -> Pixels:
    """OpenCV's order of channels. The one copy of the pixels that encoding makes."""
    return pixels if pixels.shape[2] == 1 else cast("Pixels", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))


def _eight_bit(samples: Pixels) -> NDArray[np.uint8]:
    """Rounded to 8 bits: 65535 / 257 is 255."""
    if samples.dtype == np.uint8:
        return cast("NDArray[np.uint8]", samples)
    reduced = np.empty(samples.shape, np.uint8)
    for top in range(0, len(samples), _BAND_ROWS):
        band = samples[top : top + _BAND_ROWS].astype(np.uint32)
        reduced[top : top + _BAND_ROWS] = (band + 128) // 257
    return reduced


def _over_white(pixels: Pixels, alpha: Pixels) -> Pixels:
    """Composited on white, in bands of rows."""
    white = int(np.iinfo(pixels.dtype).max)
    flat = np.empty_like(pixels)
    for top in range(0, len(pixels), _BAND_ROWS):
        rows = slice(top, top + _BAND_ROWS)
        weight = alpha[rows, :, None].astype(np.float32) / white
        flat[rows] = np.rint(pixels[rows] * weight + white * (1 - weight))
    return flat
