"""WebP: RIFF chunks (RFC 9649)."""

from __future__ import annotations

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


def read(data: bytes) -> Header:
    """Size, orientation and metadata of a still or animated WebP."""
    found = _chunks(data)
    if not found:
        raise HeaderError("no chunk")
    first = next(iter(found))
    width, height = _size(first, found[first])
    exif = bounded(found.get(b"EXIF"), MAX_EXIF_BYTES)
    exif = exif.removeprefix(b"Exif\0\0") if exif else None  # Some writers keep JPEG's prefix.
    metadata = Metadata(
        exif=exif,
        icc_profile=bounded(found.get(b"ICCP"), MAX_ICC_BYTES),
        xmp=bounded(found.get(b"XMP "), MAX_XMP_BYTES),
        dpi=exif_dpi(exif),
    )
    return Header(width, height, exif_orientation(exif), metadata)


def _chunks(data: bytes) -> dict[bytes, bytes]:
    """The first chunk of each kind; pixel data is shortened to its header."""
    if int.from_bytes(data[4:8], "little") + 8 > len(data) + 1:  # One byte of padding may be missing.
        raise HeaderError("cut off")
    found: dict[bytes, bytes] = {}
    position = 12
    while position + 8 <= len(data):
        kind = data[position : position + 4]
        length = int.from_bytes(data[position + 4 : position + 8], "little")
        kept = 10 if kind in {b"VP8 ", b"VP8L", b"ANMF", b"ALPH"} else length
        found.setdefault(kind, data[position + 8 : position + 8 + kept])
        position += 8 + length + length % 2
    return found


def _size(kind: bytes, payload: bytes) -> tuple[int, int]:
    if kind == b"VP8X" and len(payload) >= 10:
        return int.from_bytes(payload[4:7], "little") + 1, int.from_bytes(payload[7:10], "little") + 1
    if kind == b"VP8L" and len(payload) >= 5 and payload[0] == 0x2F:
        bits = int.from_bytes(payload[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 " and len(payload) >= 10 and payload[3:6] == b"\x9d\x01\x2a":
        width, height = int.from_bytes(payload[6:8], "little"), int.from_bytes(payload[8:10], "little")
        return width & 0x3FFF, height & 0x3FFF
    raise HeaderError("no frame header")
