"""Image file directories: the tables of TIFF 6.0, which EXIF uses too. Read leniently, patched in place."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import NamedTuple

from relume.imaging.containers.header import HeaderError

_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_INTEGERS = {1: "B", 3: "H", 4: "I", 13: "I"}
_RATIONAL = 5
LONG = 4

Block = bytes | bytearray


class Entry(NamedTuple):
    """One tag; `start` to `end` is where its value lies in the block."""

    tag: int
    kind: int
    number: int
    start: int
    end: int


class Directory(NamedTuple):
    entries: dict[int, Entry]
    start: int
    next_at: int
    """Where the offset of the following directory is written."""
    next: int


def byte_order(block: Block) -> str:
    """The `struct` prefix of a TIFF block. Raises HeaderError when it is none."""
    try:
        return {b"II*\0": "<", b"MM\0*": ">"}[bytes(block[:4])]
    except KeyError:
        raise HeaderError("no TIFF header") from None


def first_directory(block: Block) -> Directory:
    order = byte_order(block)
    return read_directory(block, order, struct.unpack_from(order + "I", block, 4)[0])


def read_directory(block: Block, order: str, offset: int) -> Directory:
    """The directory at `offset`. Entries whose value lies outside the block are left out."""
    if not 8 <= offset <= len(block) - 2:
        raise HeaderError("directory outside the file")
    (count,) = struct.unpack_from(order + "H", block, offset)
    next_at = offset + 2 + 12 * count
    if next_at > len(block):
        raise HeaderError("directory cut off")
    entries: dict[int, Entry] = {}
    for position in range(offset + 2, next_at, 12):
        tag, kind, number, value = struct.unpack_from(order + "HHII", block, position)
        length = _TYPE_BYTES.get(kind, 0) * number
        start = position + 8 if length <= 4 else value
        if length and start + length <= len(block):
            entries.setdefault(tag, Entry(tag, kind, number, start, start + length))
    has_next = next_at + 4 <= len(block)
    return Directory(
        entries, offset, next_at, struct.unpack_from(order + "I", block, next_at)[0] if has_next else 0
    )


def integers(block: Block, order: str, entry: Entry | None) -> tuple[int, ...]:
    """The entry's values, or nothing when it is missing or not of an integer type."""
    if entry is None or entry.kind not in _INTEGERS:
        return ()
    return struct.unpack_from(f"{order}{entry.number}{_INTEGERS[entry.kind]}", block, entry.start)


def integer(block: Block, order: str, entry: Entry | None, default: int = 0) -> int:
    """The entry's first value."""
    return next(iter(integers(block, order, entry and entry._replace(number=1))), default)


def rational(block: Block, order: str, entry: Entry | None) -> float:
    """The entry's first value as a fraction; 0.0 when there is none."""
    if entry is None or entry.kind != _RATIONAL:
        return 0.0
    numerator, denominator = struct.unpack_from(order + "II", block, entry.start)
    return float(numerator / denominator) if denominator else 0.0


def patch_integer(block: bytearray, order: str, entry: Entry | None, value: int) -> None:
    """Overwrite the entry's first value, where its type can hold it."""
    if entry is None or entry.kind not in _INTEGERS:
        return
    code = _INTEGERS[entry.kind]
    if value < 1 << 8 * struct.calcsize("=" + code):
        struct.pack_into(order + code, block, entry.start, value)


class Value(NamedTuple):
    """A tag to write: its value is in the block's byte order already."""

    tag: int
    kind: int
    number: int
    data: bytes


def copy_values(block: Block, entries: Iterable[Entry]) -> list[Value]:
    return [Value(e.tag, e.kind, e.number, bytes(block[e.start : e.end])) for e in entries]


def write_directory(order: str, offset: int, values: Iterable[Value]) -> bytes:
    """A directory that will lie at `offset`, its long values behind it, with no directory after it."""
    ordered = sorted(values)
    heap_at = offset + 2 + 12 * len(ordered) + 4
    table, heap = struct.pack(order + "H", len(ordered)), bytearray()
    for tag, kind, count, data in ordered:
        table += struct.pack(order + "HHI", tag, kind, count)
        if len(data) <= 4:
            table += data.ljust(4, b"\0")
        else:
            table += struct.pack(order + "I", heap_at + len(heap))
            heap += data + b"\0" * (len(data) % 2)
    return table + b"\0\0\0\0" + bytes(heap)
