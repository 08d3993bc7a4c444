"""PNG: chunks (W3C PNG, third edition), read without inflating pixels."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from relume.imaging.containers.exif import exif_dpi, exif_orientation
from relume.imaging.containers.header import (
    MAX_EXIF_BYTES,
    MAX_ICC_BYTES,
    MAX_XMP_BYTES,
    Header,
    HeaderError,
    bounded,
    inflate,
)
from relume.imaging.photo import Metadata

MAGIC = b"\x89PNG\r\n\x1a\n"
XMP_KEYWORD = b"XML:com.adobe.xmp"
METRES_PER_INCH = 0.0254

_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type
_PIXEL_CHUNKS = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})


class Chunk(NamedTuple):
    kind: bytes
    payload: memoryview


def read(data: bytes) -> Header:
    """Size, orientation and metadata. An animation's default image is what gets decoded later."""
    found = {chunk.kind: chunk.payload for chunk in chunks(data) if chunk.kind not in {b"IDAT", b"iTXt"}}
    width, height, bit_depth, colour, _, _, _ = struct.unpack(">IIBBBBB", found[b"IHDR"])
    exif = bounded(bytes(found.get(b"eXIf", b"")), MAX_EXIF_BYTES)
    metadata = Metadata(
        exif, _icc(found.get(b"iCCP")), _xmp(data), _dpi(found.get(b"pHYs")) or exif_dpi(exif)
    )
    return Header(width, height, exif_orientation(exif), metadata, bit_depth, _CHANNELS.get(colour, 3))


def chunks(data: bytes) -> Iterator[Chunk]:
    """Every chunk up to IEND. Damaged ancillary chunks are passed over.

    Raises HeaderError when the file is cut off or a critical chunk fails its checksum.
    """
    view = memoryview(data)
    position = len(MAGIC)
    kind = b""
    while kind != b"IEND":
        if position + 12 > len(data):
            raise HeaderError("cut off")
        length = int.from_bytes(data[position : position + 4])
        kind, end = data[position + 4 : position + 8], position + 12 + length
        if end > len(data) or (position == len(MAGIC) and kind != b"IHDR"):
            raise HeaderError("cut off, or without IHDR")
        is_intact = zlib.crc32(view[position + 4 : end - 4]) == int.from_bytes(data[end - 4 : end])
        if is_intact:
            yield Chunk(kind, view[position + 8 : end - 4])
        elif not kind[0] & 0x20:  # Lower case marks a chunk that can be done without.
            raise HeaderError("checksum")
        position = end


def pixels_only(data: bytes) -> bytes:
    """The file without text, profiles, gamma and animation: what makes the first image, nothing else."""
    parts: list[bytes | memoryview] = [MAGIC]
    for kind, payload in chunks(data):
        if kind in _PIXEL_CHUNKS:
            parts += write_chunk(kind, payload)
    return b"".join(parts)


def write_chunk(kind: bytes, payload: bytes | memoryview) -> list[bytes | memoryview]:
    """A chunk in pieces, so that pixel data is not copied to be framed."""
    checksum = zlib.crc32(payload, zlib.crc32(kind))
    return [struct.pack(">I", len(payload)) + kind, payload, struct.pack(">I", checksum)]


def transparent_colour(data: bytes) -> tuple[int, ...] | None:
    """The one colour tRNS makes transparent in a greyscale or RGB image, in the file's own bit depth."""
    payload = next((c.payload for c in chunks(data) if c.kind == b"tRNS"), None)
    return (
        None if payload is None else struct.unpack(f">{len(payload) // 2}H", payload[: len(payload) // 2 * 2])
    )


def inflates_beyond(data: bytes, limit_bytes: int) -> bool:
    """Whether the pixel data holds more than so many bytes. It stops there, so a bomb costs nothing."""
    stream, total = zlib.decompressobj(), 0
    for kind, payload in chunks(data):
        pending: bytes | memoryview = payload if kind == b"IDAT" else b""
        while pending and total <= limit_bytes and not stream.eof:
            total += len(stream.decompress(pending, 1 << 20))
            pending = stream.unconsumed_tail
    return total > limit_bytes


def _icc(payload: memoryview | None) -> bytes | None:
    if payload is None:
        return None
    _name, _, rest = bytes(payload).partition(b"\0")
    return inflate(rest[1:], MAX_ICC_BYTES) or None


def _xmp(data: bytes) -> bytes | None:
    for kind, payload in chunks(data):
        if kind == b"iTXt" and bytes(payload[:18]) == XMP_KEYWORD + b"\0":
            is_compressed, _method = payload[18], payload[19]
            _language, _, rest = bytes(payload[20:]).partition(b"\0")
            _keyword, _, text = rest.partition(b"\0")
            return inflate(text, MAX_XMP_BYTES) if is_compressed else bounded(text, MAX_XMP_BYTES)
    return None


def _dpi(payload: memoryview | None) -> tuple[float, float] | None:
    if payload is None or len(payload) != 9:
        return None
    x, y, unit = struct.unpack(">IIB", payload)
    return (x * METRES_PER_INCH, y * METRES_PER_INCH) if unit == 1 and x and y else None
