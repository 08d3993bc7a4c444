"""TIFF 6.0, first page only."""

from __future__ import annotations

import struct

from relume.imaging.containers.exif import (
    EXIF_POINTER,
    GPS_POINTER,
    ORIENTATION,
    RESOLUTION_UNIT,
    X_RESOLUTION,
    Y_RESOLUTION,
    directory_dpi,
)
from relume.imaging.containers.header import (
    MAX_EXIF_BYTES,
    MAX_ICC_BYTES,
    MAX_XMP_BYTES,
    Header,
    HeaderError,
    bounded,
)
from relume.imaging.containers.ifd import (
    LONG,
    Directory,
    Value,
    byte_order,
    copy_values,
    first_directory,
    integer,
    read_directory,
    write_directory,
)
from relume.imaging.photo import Metadata

_WIDTH, _HEIGHT, _BITS, _SAMPLES, _XMP, _ICC = 256, 257, 258, 277, 700, 34675
_TILE_WIDTH, _TILE_HEIGHT = 322, 323
_DNG_VERSION = 50706
_INTEROPERABILITY_POINTER = 0xA005
MAX_TILE_SIDE = 4096  # Writers use 128 to 1024; a decoder allocates whole tiles whatever the image's size.

# What a decoder needs to make pixels: the baseline tags, fax options, predictor, tiles, JPEG tables, YCbCr.
_PIXEL_TAGS = frozenset(
    {256, 257, 258, 259, 262, 266, 273, 277, 278, 279, 284, 292, 293, 317, 320, 322, 323, 324, 325}
    | {332, 334, 338, 339, 347, 512, 513, 514, 515, 519, 520, 521, 529, 530, 531, 532}
)
# What describes the photo: texts, camera, resolution, dates, artist, copyright, rating, Windows' titles.
_DESCRIPTION_TAGS = frozenset(
    {270, 271, 272, X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT, 305, 306, 315, 316, 18246, 33432}
    | set(range(40091, 40096))
)


def read(data: bytes) -> Header:
    """Size, orientation and metadata of the first page."""
    order, directory = byte_order(data), first_directory(data)
    entries = directory.entries
    if _DNG_VERSION in entries:
        raise HeaderError("a camera raw file")
    if max(integer(data, order, entries.get(tag)) for tag in (_TILE_WIDTH, _TILE_HEIGHT)) > MAX_TILE_SIDE:
        raise HeaderError("tiles too large")
    orientation = integer(data, order, entries.get(ORIENTATION), 1)
    return Header(
        width=integer(data, order, entries.get(_WIDTH)),
        height=integer(data, order, entries.get(_HEIGHT)),
        orientation=orientation if 1 <= orientation <= 8 else 1,
        metadata=_metadata(data, directory),
        bit_depth=integer(data, order, entries.get(_BITS), 1),
        channels=integer(data, order, entries.get(_SAMPLES), 1),
    )


def pixels_only(data: bytes) -> bytes:
    """The file with a new first directory, which holds pixel tags alone and no page after it.

    Values stay where they are, so offsets remain valid.
    """
    order, directory = byte_order(data), first_directory(data)
    values = copy_values(data, (e for e in directory.entries.values() if e.tag in _PIXEL_TAGS))
    offset = len(data) + len(data) % 2
    header = data[:4] + struct.pack(order + "I", offset)
    return b"".join(
        (header, memoryview(data)[8:], bytes(len(data) % 2), write_directory(order, offset, values))
    )


def _metadata(data: bytes, directory: Directory) -> Metadata:
    entries = directory.entries

    def block(tag: int) -> bytes | None:
        return data[entries[tag].start : entries[tag].end] if tag in entries else None

    return Metadata(
        exif=bounded(_exif(data, directory), MAX_EXIF_BYTES),
        icc_profile=bounded(block(_ICC), MAX_ICC_BYTES),
        xmp=bounded((block(_XMP) or b"").strip(b"\0"), MAX_XMP_BYTES),
        dpi=directory_dpi(data, directory),
    )


def _exif(data: bytes, directory: Directory) -> bytes | None:
    """A block of its own from the descriptive tags. Inner offsets of maker notes may not hold any more."""
    order, exif = byte_order(data), bytearray(data[:4] + b"\0\0\0\0")
    values = copy_values(data, (e for e in directory.entries.values() if e.tag in _DESCRIPTION_TAGS))
    for pointer in (EXIF_POINTER, GPS_POINTER):
        offset = integer(data, order, directory.entries.get(pointer))
        try:
            entries = read_directory(data, order, offset).entries if offset else {}
        except HeaderError:
            continue
        if entries:
            values.append(Value(pointer, LONG, 1, struct.pack(order + "I", len(exif))))
            kept = (e for e in entries.values() if e.tag != _INTEROPERABILITY_POINTER)
            exif += write_directory(order, len(exif), copy_values(data, kept))
    if not values:
        return None
    struct.pack_into(order + "I", exif, 4, len(exif))
    return bytes(exif + write_directory(order, len(exif), values))
