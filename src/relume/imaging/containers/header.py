"""What every container reader returns, and the bounds they share."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field

from relume.imaging.photo import Metadata

MAX_ICC_BYTES = 4_000_000  # The largest CMYK press profiles are about 2.7 MB.
MAX_EXIF_BYTES = 1_000_000  # JPEG allows 64 KB; HEIC and TIFF carry maker notes of a few hundred KB.
MAX_XMP_BYTES = 1_000_000  # Beyond this it is depth maps and edit histories, not a description.


class HeaderError(Exception):
    """The bytes contradict the format their magic claims."""


@dataclass(frozen=True, slots=True)
class Header:
    """Size as stored, before orientation (1 to 8, EXIF's meaning) is applied; metadata as found."""

    width: int
    height: int
    orientation: int = 1
    metadata: Metadata = field(default_factory=Metadata)
    bit_depth: int = 8
    channels: int = 3


def inflate(data: bytes | memoryview, limit_bytes: int) -> bytes | None:
    """The zlib stream's content, or None when it is corrupt or larger than the limit."""
    stream = zlib.decompressobj()
    try:
        content = stream.decompress(data, limit_bytes)
    except zlib.error:
        return None
    return content if stream.eof else None


def bounded(block: bytes | None, limit_bytes: int) -> bytes | None:
    """The block, or None when it is empty or larger than the limit."""
    return bytes(block) if block and len(block) <= limit_bytes else None
