"""Broken, hostile and unusual images, made in code: what an upload endpoint meets sooner or later.

`HANDLED` are files that decode, `REFUSED` those that must be refused, with the error they must be refused
with under the mobile limits. Cases are made when asked for: some take a moment or some megabytes.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, cast

import cv2
import numpy as np
import pillow_heif
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps

from relume.errors import (
    ImageDimensions,
    ImageMissing,
    ImageTooLarge,
    ImageUnreadable,
    RelumeError,
    UnsupportedFormat,
)

PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
EXIF_PREFIX = b"Exif\0\0"
ORIENTATION_TAG = 0x0112


def photo(width: int = 96, height: int = 64) -> NDArray[np.uint8]:
    """A picture with gradients, edges and a little noise, different in each corner. (height, width, 3)"""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    colours = np.stack((x / width * 255, y / height * 255, (1 - x / width) * 255), axis=2)
    colours[: height // 3, : width // 3] = (230, 40, 30)
    colours += np.random.default_rng(7).normal(0, 4, colours.shape)
    return cast("NDArray[np.uint8]", np.clip(np.rint(colours), 0, 255).astype(np.uint8))


def saved(image: Image.Image, format_: str, **options: Any) -> bytes:
    """The image in one of Pillow's formats, or in `HEIF`."""
    target = io.BytesIO()
    if format_ == "HEIF":
        pillow_heif.from_pillow(image).save(target, **options)
    else:
        image.save(target, format_, **options)
    return target.getvalue()


def encoded(format_: str, width: int = 96, height: int = 64, **options: Any) -> bytes:
    return saved(Image.fromarray(photo(width, height)), format_, **options)


# Building blocks


def png_chunk(kind: bytes, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))


def png_file(
    width: int, height: int, bit_depth: int, colour_type: int, pixel_stream: bytes, *ancillary: bytes
) -> bytes:
    """A PNG around any compressed stream, true to its header or not."""
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bit_depth, colour_type, 0, 0, 0))
    return b"".join(
        (PNG_MAGIC, header, *ancillary, png_chunk(b"IDAT", pixel_stream), png_chunk(b"IEND", b""))
    )


def with_png_chunk(data: bytes, kind: bytes, payload: bytes) -> bytes:
    """The PNG with one more chunk, right after its header."""
    return data[:33] + png_chunk(kind, payload) + data[33:]


def with_jpeg_segment(data: bytes, marker: int, payload: bytes) -> bytes:
    """The JPEG with one more segment, right after its start."""
    return data[:2] + struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload + data[2:]


@cache
def inflating_stream(megabytes: int) -> bytes:
    """A zlib stream of so many megabytes of zeros, about a thousandth in size."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = deflate.compress(bytes(1_000_000)) + deflate.flush(zlib.Z_FULL_FLUSH)
    return b"\x78\x9c" + block * megabytes + b"\x03\x00" + struct.pack(">I", zlib.adler32(b""))


def exif_block(orientation: int = 1, *, thumbnail: bytes = b"", make: str = "Relume Camera") -> bytes:
    """EXIF without prefix: make, orientation, pixel size 96x64, GPS latitude, maybe a thumbnail."""
    exif = Image.Exif()
    exif[0x010F] = make
    exif[ORIENTATION_TAG] = orientation
    exif.get_ifd(0x8769).update({0x9003: "1957:06:01 12:00:00", 0xA002: 96, 0xA003: 64})
    exif.get_ifd(0x8825).update({1: "N"})
    block = exif.tobytes().removeprefix(EXIF_PREFIX)
    return _with_thumbnail(block, thumbnail) if thumbnail else block


def _with_thumbnail(block: bytes, thumbnail: bytes) -> bytes:
    order = ">" if block[:2] == b"MM" else "<"
    (first,) = struct.unpack_from(order + "I", block, 4)
    (count,) = struct.unpack_from(order + "H", block, first)
    second = len(block)
    tables = bytearray(block)
    struct.pack_into(order + "I", tables, first + 2 + 12 * count, second)
    tables += struct.pack(order + "H", 2)
    tables += struct.pack(order + "HHII", 0x0201, 4, 1, second + 30)
    tables += struct.pack(order + "HHII", 0x0202, 4, 1, len(thumbnail))
    return bytes(tables) + bytes(4) + thumbnail


def turned(pixels: NDArray[Any], orientation: int) -> NDArray[Any]:
    """How a camera held so that `orientation` applies would have stored the picture."""
    inverse = {6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}
    same = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        7: Image.Transpose.TRANSVERSE,
    }
    method = (inverse | same).get(orientation)
    image = Image.fromarray(pixels)
    return np.asarray(image if method is None else image.transpose(method))


def sixteen_bit(channels: int, width: int = 96, height: int = 64) -> NDArray[np.uint16]:
    """Samples that use the low bytes too. (height, width, channels)"""
    return np.random.default_rng(3).integers(0, 65536, (height, width, channels), np.uint16)


def sixteen_bit_png(samples: NDArray[np.uint16], *ancillary: bytes) -> bytes:
    """A PNG of 1 grey, 2 grey+alpha, 3 RGB or 4 RGBA channels, written by hand without filters."""
    height, width, channels = samples.shape
    rows = samples.astype(">u2").tobytes()
    step = width * channels * 2
    raw = b"".join(b"\0" + rows[start : start + step] for start in range(0, len(rows), step))
    colour_type = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    return png_file(width, height, 16, colour_type, zlib.compress(raw), *ancillary)


@cache  # LittleCMS writes the time of day into it.
def srgb_profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


XMP = (
    b'<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description rdf:about="" xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6" '
    b'xmlns:dc="http://purl.org/dc/elements/1.1/" dc:rights="The family"/>'
    b'</rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
)


# Cases


@dataclass(frozen=True, slots=True)
class Case:
    """A file, and how it must end: with an upright photo of `size`, or with `error`."""

    name: str
    make: Callable[[], bytes]
    error: type[RelumeError] | None = None
    size: tuple[int, int] = (96, 64)

    def __str__(self) -> str:
        return self.name


def _cut(format_: str) -> Callable[[], bytes]:
    def make() -> bytes:
        whole = encoded(format_)
        return whole[: len(whole) * 2 // 3]

    return make


def _oversized_jpeg() -> bytes:
    return encoded("JPEG") + bytes(15_100_000)


def _endless_scans() -> bytes:
    """A progressive JPEG whose last scan is repeated 5000 times: each costs a pass over all pixels."""
    data = encoded("JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * 5000 + data[-2:]


def _lying_heic(width: int, height: int) -> bytes:
    """A HEIC of 96x64 whose container claims another size."""
    data = encoded("HEIF")
    true_size = struct.pack(">II", 96, 64)
    at = data.index(b"ispe") + 8
    assert data[at : at + 8] == true_size
    return data[:at] + struct.pack(">II", width, height) + data[at + 8 :]


def _lying_webp() -> bytes:
    """An extended WebP whose canvas is smaller than its frame."""
    data = bytearray(encoded("WEBP", exif=exif_block()))
    data[24:30] = (7).to_bytes(3, "little") * 2
    return bytes(data)


def _tiff_with_huge_tile() -> bytes:
    data = bytearray(encoded("TIFF"))
    (first,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, first)
    directory = bytes(data[first + 2 : first + 2 + 12 * count])
    tiles = struct.pack("<HHII", 322, 4, 1, 1 << 20) + struct.pack("<HHII", 323, 4, 1, 1 << 20)
    struct.pack_into("<I", data, 4, len(data))
    return bytes(data) + struct.pack("<H", count + 2) + directory + tiles + bytes(4)


def _animation(format_: str) -> Callable[[], bytes]:
    def make() -> bytes:
        first = Image.fromarray(photo())
        frames = [ImageOps.invert(first), ImageOps.mirror(first)]
        return saved(first, format_, save_all=True, append_images=frames, duration=100)

    return make


def _multi_picture_jpeg() -> bytes:
    first = Image.fromarray(photo())
    return saved(first, "MPO", save_all=True, append_images=[ImageOps.invert(first)])


def _palette(format_: str = "PNG") -> bytes:
    """A palette whose first colour is transparent and second half transparent."""
    image = Image.fromarray(photo()).quantize(16)
    return saved(image, format_, transparency=bytes([0, 128] + [255] * 14))


def _grey_palette() -> bytes:
    image = Image.fromarray(photo()[:, :, 0] // 16)
    image.putpalette([value for level in range(16) for value in (level * 17,) * 3])
    return saved(image, "PNG")


def _cmyk_jpeg(**options: Any) -> bytes:
    return saved(Image.fromarray(photo()).convert("CMYK"), "JPEG", quality=95, **options)


def _broken_metadata_jpeg() -> bytes:
    data = with_jpeg_segment(encoded("JPEG"), 0xE1, EXIF_PREFIX + b"MM\0*\xff\xff\xff\xff garbage")
    data = with_jpeg_segment(data, 0xE1, b"http://ns.adobe.com/xap/1.0/\0<not xml")
    data = with_jpeg_segment(data, 0xE2, b"MPF\0MM\0*\0\0\0\x08\xff\xff garbage")
    return with_jpeg_segment(data, 0xE2, b"ICC_PROFILE\0\1\1 no profile")


def _broken_metadata_png() -> bytes:
    data = with_png_chunk(encoded("PNG"), b"eXIf", b"II*\0 garbage")
    data = with_png_chunk(data, b"iCCP", b"name\0\0not zlib")
    data = with_png_chunk(data, b"pHYs", b"short")
    return with_png_chunk(data, b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0not zlib")


def _ancillary_bomb(kind: bytes, prefix: bytes) -> Callable[[], bytes]:
    return lambda: with_png_chunk(encoded("PNG"), kind, prefix + inflating_stream(1000))


def _short_png(bit_depth: int) -> bytes:
    """Whole chunks, but not enough pixels in them."""
    return png_file(96, 64, bit_depth, 2, zlib.compress(bytes(99)))


def _sixteen_bit_png(channels: int) -> bytes:
    return sixteen_bit_png(sixteen_bit(channels))


def _fax_tiff() -> bytes:
    return saved(Image.fromarray(photo()).convert("1"), "TIFF", compression="group4")


def _zero_canvas() -> bytes:
    """65 KB that are a true 4096x4096 RGBA picture of 67 MB."""
    row = 4096 * 4 + 1
    return png_file(4096, 4096, 8, 6, zlib.compress(bytes(row * 4096)))


BOMBS = (
    Case("1 GB behind a header of 96x64", lambda: png_file(96, 64, 8, 2, inflating_stream(1000))),
    Case("1 GB zTXt", _ancillary_bomb(b"zTXt", b"Comment\0\0")),
    Case("1 GB iTXt", _ancillary_bomb(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0")),
    Case("1 GB iCCP", _ancillary_bomb(b"iCCP", b"icc\0\0")),
    Case("1 GB behind 16 bits", lambda: png_file(96, 64, 16, 2, inflating_stream(1000)), ImageUnreadable),
    Case("60000x60000 PNG", lambda: png_file(60000, 60000, 8, 6, inflating_stream(100)), ImageDimensions),
    Case("TIFF with a 1 Mpx wide tile", _tiff_with_huge_tile, UnsupportedFormat),
    Case("5000 scans", _endless_scans, ImageUnreadable),
    Case("67 MB of nothing in 65 KB", _zero_canvas, size=(4096, 4096)),
)
"""Small files that ask for much."""

HANDLED = (
    *(Case(format_, partial(encoded, format_)) for format_ in ("JPEG", "PNG", "WEBP", "HEIF")),
    Case("progressive JPEG", lambda: encoded("JPEG", progressive=True)),
    Case("greyscale JPEG", lambda: saved(Image.fromarray(photo()[:, :, 0]), "JPEG")),
    Case("CMYK JPEG", _cmyk_jpeg),
    Case("CMYK JPEG with a broken profile", lambda: _cmyk_jpeg(icc_profile=b"no profile" * 20)),
    Case("multi-picture JPEG", _multi_picture_jpeg),
    Case("JPEG with broken metadata", _broken_metadata_jpeg),
    Case("JPEG with a motion clip", lambda: encoded("JPEG") + b"\0\0\0\x18ftypmp42" + bytes(range(256)) * 9),
    Case("PNG with broken metadata", _broken_metadata_png),
    Case("animated PNG", _animation("PNG")),
    Case("animated WebP", _animation("WEBP")),
    Case("lossless WebP", lambda: encoded("WEBP", lossless=True)),
    Case("palette PNG with transparency", _palette),
    Case("palette PNG of greys", _grey_palette),
    Case("1-bit PNG", lambda: saved(Image.fromarray(photo()).convert("1"), "PNG")),
    Case("grey+alpha PNG", lambda: saved(Image.fromarray(photo()).convert("LA"), "PNG")),
    *(
        Case(f"16-bit PNG, {channels} channels", partial(_sixteen_bit_png, channels))
        for channels in (1, 2, 3, 4)
    ),
    Case("HEIC with alpha", lambda: saved(Image.fromarray(photo()).convert("RGBA"), "HEIF")),
    Case("1x1 PNG", lambda: encoded("PNG", 1, 1), size=(1, 1)),
    Case("4096 wide", lambda: encoded("PNG", 4096, 8), size=(4096, 8)),
)
"""Files the mobile limits take."""

HANDLED_WIDE = (
    *(Case(format_, partial(encoded, format_)) for format_ in ("AVIF", "TIFF", "BMP", "GIF")),
    Case("animated GIF", _animation("GIF")),
    Case("animated AVIF", _animation("AVIF")),
    Case("multi-page TIFF", _animation("TIFF")),
    Case("compressed TIFF", lambda: encoded("TIFF", compression="tiff_lzw")),
    Case("JPEG in TIFF", lambda: encoded("TIFF", compression="jpeg")),
    Case("CMYK TIFF", lambda: saved(Image.fromarray(photo()).convert("CMYK"), "TIFF")),
    Case("fax TIFF", _fax_tiff),
    Case("float TIFF", lambda: saved(Image.fromarray(photo()[:, :, 0].astype(np.float32) / 255), "TIFF")),
    Case("16-bit grey TIFF", lambda: saved(Image.fromarray(sixteen_bit(1)[:, :, 0]), "TIFF")),
    Case("16-bit RGB TIFF", lambda: cv2.imencode(".tiff", sixteen_bit(3))[1].tobytes()),
    Case("4097 wide", lambda: encoded("PNG", 4097, 8), size=(4097, 8)),
)
"""Files that only wider limits take."""

REFUSED = (
    Case("empty", lambda: b"", ImageMissing),
    Case("15.1 MB JPEG", _oversized_jpeg, ImageTooLarge),
    Case("4097 wide", lambda: encoded("PNG", 4097, 8), ImageDimensions),
    Case("4097 high", lambda: encoded("JPEG", 8, 4097), ImageDimensions),
    Case("text named .jpg", lambda: b"This is no photo.\n" * 9, UnsupportedFormat),
    Case("PDF", lambda: b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj", UnsupportedFormat),
    Case("SVG", lambda: b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', UnsupportedFormat),
    Case("web page", lambda: b"<!DOCTYPE html><html></html>", UnsupportedFormat),
    Case("video", lambda: b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom", UnsupportedFormat),
    Case("random bytes", lambda: np.random.default_rng(1).bytes(4096), UnsupportedFormat),
    *(
        Case(format_, partial(encoded, format_), UnsupportedFormat)
        for format_ in ("AVIF", "TIFF", "BMP", "GIF")
    ),
    *(Case(f"cut {format_}", _cut(format_), ImageUnreadable) for format_ in ("JPEG", "PNG", "WEBP", "HEIF")),
    Case("JPEG magic only", lambda: b"\xff\xd8\xff\xe0", ImageUnreadable),
    Case("PNG magic only", lambda: PNG_MAGIC, ImageUnreadable),
    Case("WebP magic only", lambda: b"RIFF\4\0\0\0WEBP", ImageUnreadable),
    Case("HEIC magic only", lambda: b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", ImageUnreadable),
    Case("PNG of no width", lambda: png_file(0, 8, 8, 2, zlib.compress(b"")), ImageUnreadable),
    *(Case(f"{bits}-bit PNG cut short", partial(_short_png, bits), ImageUnreadable) for bits in (8, 16)),
    Case("HEIC larger than it claims", lambda: _lying_heic(8, 8), ImageUnreadable),
    Case("HEIC smaller than it claims", lambda: _lying_heic(4000, 4000), ImageUnreadable),
    Case("HEIC claiming 60000x60000", lambda: _lying_heic(60000, 60000), ImageDimensions),
    Case("WebP larger than its canvas", _lying_webp, ImageUnreadable),
)
"""Files the mobile limits refuse."""
