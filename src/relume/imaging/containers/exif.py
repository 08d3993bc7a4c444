r"""EXIF (CIPA DC-008): read and patched in place, so that maker notes with absolute offsets stay valid.

Every function takes EXIF as a TIFF block without the `Exif\0\0` prefix, and none ever raises: EXIF that
cannot be read is as good as none.
"""

from __future__ import annotations

import struct

from relume.imaging.containers.header import HeaderError
from relume.imaging.containers.ifd import (
    Directory,
    byte_order,
    first_directory,
    integer,
    integers,
    patch_integer,
    rational,
    read_directory,
)

IMAGE_WIDTH, IMAGE_HEIGHT, ORIENTATION = 0x0100, 0x0101, 0x0112
X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 0x011A, 0x011B, 0x0128
EXIF_POINTER, GPS_POINTER = 0x8769, 0x8825
PIXEL_WIDTH, PIXEL_HEIGHT = 0xA002, 0xA003

_STRIP_OFFSETS, _STRIP_LENGTHS = 0x0111, 0x0117
_THUMBNAIL_OFFSET, _THUMBNAIL_LENGTH = 0x0201, 0x0202
_DPI_FACTORS = {2: 1.0, 3: 2.54}  # per inch, per centimetre
_UNREADABLE = (HeaderError, struct.error)


def exif_orientation(exif: bytes | None) -> int:
    """1 to 8; 1 when there is none."""
    try:
        value = integer(
            exif or b"", byte_order(exif or b""), first_directory(exif or b"").entries.get(ORIENTATION), 1
        )
    except _UNREADABLE:
        return 1
    return value if 1 <= value <= 8 else 1


def exif_dpi(exif: bytes | None) -> tuple[float, float] | None:
    """The resolution, or None. The 72 dpi that cameras write for want of a better value is kept as it is."""
    try:
        return directory_dpi(exif or b"", first_directory(exif or b""))
    except _UNREADABLE:
        return None


def directory_dpi(block: bytes, directory: Directory) -> tuple[float, float] | None:
    order, entries = byte_order(block), directory.entries
    factor = _DPI_FACTORS.get(integer(block, order, entries.get(RESOLUTION_UNIT), 2), 0.0)
    x = rational(block, order, entries.get(X_RESOLUTION)) * factor
    y = rational(block, order, entries.get(Y_RESOLUTION)) * factor
    return (x, y) if x and y else None


def upright_exif(exif: bytes | None) -> bytes | None:
    """Orientation 1 and no thumbnail, everything else byte for byte. None when it cannot be read."""
    try:
        block = bytearray(exif or b"")
        order, directory = byte_order(block), first_directory(block)
        patch_integer(block, order, directory.entries.get(ORIENTATION), 1)
        if directory.next:
            struct.pack_into(order + "I", block, directory.next_at, 0)
            _erase_thumbnail(block, order, directory.next)
        first_directory(block)
    except _UNREADABLE:
        return None
    return bytes(block)


def resized_exif(exif: bytes | None, width: int, height: int) -> bytes | None:
    """The same EXIF with its size tags, where it has them, saying `width` x `height`."""
    try:
        block = bytearray(exif or b"")
        order, directory = byte_order(block), first_directory(block)
        pointer = integer(block, order, directory.entries.get(EXIF_POINTER))
        details = read_directory(block, order, pointer).entries if pointer else {}
    except _UNREADABLE:
        return exif
    for entries, tag, value in (
        (directory.entries, IMAGE_WIDTH, width),
        (directory.entries, IMAGE_HEIGHT, height),
        (details, PIXEL_WIDTH, width),
        (details, PIXEL_HEIGHT, height),
    ):
        patch_integer(block, order, entries.get(tag), value)
    return bytes(block)


def _erase_thumbnail(block: bytearray, order: str, offset: int) -> None:
    """Zero the second directory and the picture it points to: it shows the photo as it was.

    Cut off when it comes last, as cameras write it.
    """
    try:
        thumbnail = read_directory(block, order, offset)
    except HeaderError:
        return
    entries = thumbnail.entries
    spans = [(thumbnail.start, thumbnail.next_at)]
    for offset_tag, length_tag in ((_THUMBNAIL_OFFSET, _THUMBNAIL_LENGTH), (_STRIP_OFFSETS, _STRIP_LENGTHS)):
        starts = integers(block, order, entries.get(offset_tag))
        lengths = integers(block, order, entries.get(length_tag))
        spans += [(start, start + length) for start, length in zip(starts, lengths, strict=False)]
    for start, end in spans:
        end = min(end, len(block))
        block[start:end] = bytes(max(end - start, 0))
    last_start, last_end = spans[1] if len(spans) > 1 else spans[0]
    if thumbnail.start <= last_start < last_end == len(block):
        del block[last_start:]
