"""JPEG: segments up to the first scan (ITU-T T.81 annex B, JFIF 1.02, Adobe TN 5116, ICC.1 annex B.4)."""

from __future__ import annotations

import re
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
)
from relume.imaging.photo import Metadata

EXIF_PREFIX = b"Exif\0\0"
XMP_PREFIX = b"http://ns.adobe.com/xap/1.0/\0"
ICC_PREFIX = b"ICC_PROFILE\0"
MAX_SCANS = 300  # Progressive files have about 10; each scan costs a pass over every pixel.

_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_APP0, _APP1, _APP2, _APP14, _APP15, _COMMENT = 0xE0, 0xE1, 0xE2, 0xEE, 0xEF, 0xFE
_SCAN, _END = 0xDA, 0xD9
_NEXT_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")


class _Segment(NamedTuple):
    marker: int
    start: int
    payload: bytes
    end: int


def read(data: bytes) -> Header:
    """Size, orientation and metadata. Trailing data (an MPO's second frame, a motion clip) is ignored."""
    segments = list(_segments(data))
    frame = next((s.payload for s in segments if s.marker in _FRAMES), None)
    if frame is None or segments[-1].marker != _SCAN:
        raise HeaderError("no frame before the first scan")
    height, width = int.from_bytes(frame[1:3]), int.from_bytes(frame[3:5])
    _check_scans(data, segments[-1].end)
    metadata = _metadata(segments)
    orientation = exif_orientation(metadata.exif)
    return Header(width, height, orientation, metadata, bit_depth=frame[0], channels=frame[5])


def pixels_only(data: bytes) -> bytes:
    """The file without application segments, but for those that say how colour is coded (JFIF, Adobe)."""
    parts: list[bytes | memoryview] = [data[:2]]
    view = memoryview(data)
    for segment in _segments(data):
        is_application = _APP0 <= segment.marker <= _APP15 or segment.marker == _COMMENT
        if segment.marker == _SCAN:
            parts.append(view[segment.start :])
        elif not is_application or segment.marker in {_APP0, _APP14}:
            parts.append(view[segment.start : segment.end])
    return b"".join(parts)


def _segments(data: bytes) -> Iterator[_Segment]:
    """Every marker segment up to and including the first start of scan."""
    position = 2
    while True:
        match = _NEXT_MARKER.search(data, position)
        if match is None:
            raise HeaderError("no scan")
        marker = data[match.start() + 1]
        if marker in {0x01, 0xD8}:  # These two have no length.
            position = match.end()
            continue
        length = int.from_bytes(data[match.end() : match.end() + 2])
        end = match.end() + length
        if marker == _END or length < 2 or end > len(data):
            raise HeaderError("cut off in the header")
        yield _Segment(marker, match.start(), data[match.end() + 2 : end], end)
        if marker == _SCAN:
            return
        position = end


def _check_scans(data: bytes, position: int) -> None:
    """Refuse a file made of countless tiny scans: a few megabytes could keep a decoder busy for hours."""
    scans = 1
    while scans <= MAX_SCANS:
        match = _NEXT_MARKER.search(data, position)
        if match is None or data[match.end() - 1] == _END:
            return
        scans += data[match.end() - 1] == _SCAN
        position = match.end() + int.from_bytes(data[match.end() : match.end() + 2])
    raise HeaderError("too many scans")


def _metadata(segments: list[_Segment]) -> Metadata:
    exif = _first(segments, _APP1, EXIF_PREFIX)
    return Metadata(
        exif=bounded(exif, MAX_EXIF_BYTES),
        icc_profile=bounded(_icc(segments), MAX_ICC_BYTES),
        xmp=bounded(_first(segments, _APP1, XMP_PREFIX), MAX_XMP_BYTES),
        dpi=_jfif_dpi(_first(segments, _APP0, b"JFIF\0")) or exif_dpi(exif),
    )


def _first(segments: list[_Segment], marker: int, prefix: bytes) -> bytes | None:
    for segment in segments:
        if segment.marker == marker and segment.payload.startswith(prefix):
            return segment.payload[len(prefix) :]
    return None


def _icc(segments: list[_Segment]) -> bytes | None:
    """The profile's parts, numbered from 1, joined; None when one is missing."""
    parts: dict[int, bytes] = {}
    expected = 0
    for segment in segments:
        if segment.marker == _APP2 and segment.payload.startswith(ICC_PREFIX) and len(segment.payload) > 14:
            parts[segment.payload[12]] = segment.payload[14:]
            expected = segment.payload[13]
    if not expected or sorted(parts) != list(range(1, expected + 1)):
        return None
    return b"".join(parts[number] for number in sorted(parts))


def _jfif_dpi(payload: bytes | None) -> tuple[float, float] | None:
    if payload is None or len(payload) < 7:
        return None
    unit, x, y = payload[2], int.from_bytes(payload[3:5]), int.from_bytes(payload[5:7])
    factor = {1: 1.0, 2: 2.54}.get(unit)
    return (x * factor, y * factor) if factor and x and y else None
