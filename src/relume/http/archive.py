"""A ZIP made while it is sent: photos are stored as they are, for they are compressed already."""

from __future__ import annotations

import io
import zipfile
from collections.abc import AsyncGenerator, AsyncIterator
from datetime import datetime
from typing import Any

_EARLIEST = datetime(1980, 1, 1)  # noqa: DTZ001 (a ZIP's times have no zone, and begin here)


class ZipWriter:
    """Members go in, bytes come out. Memory holds one chunk, and a line for each member.

    Members beyond 4 GB, and archives beyond 4 GB or 65535 members, become ZIP64 by themselves.
    """

    def __init__(self) -> None:
        self._sink = _Sink()
        self._zip = zipfile.ZipFile(self._sink, "w", zipfile.ZIP_STORED)

    async def member(
        self, name: str, size_bytes: int, made_at: datetime, chunks: AsyncIterator[bytes]
    ) -> AsyncGenerator[bytes, None]:
        """Close it before another member, or the end: use `contextlib.aclosing`."""
        info = zipfile.ZipInfo(name, max(made_at.replace(tzinfo=None), _EARLIEST).timetuple()[:6])
        info.file_size = (
            size_bytes  # Lets zipfile choose ZIP64 for large ones alone: not every program reads it.
        )
        info.external_attr = 0o644 << 16
        with self._zip.open(info, "w") as member:
            async for chunk in chunks:
                member.write(chunk)
                yield self._sink.taken()
        yield self._sink.taken()

    def whole(self, name: str, data: bytes, made_at: datetime) -> bytes:
        """A small member at once."""
        info = zipfile.ZipInfo(name, max(made_at.replace(tzinfo=None), _EARLIEST).timetuple()[:6])
        info.external_attr = 0o644 << 16
        self._zip.writestr(info, data)
        return self._sink.taken()

    def end(self) -> bytes:
        """The table of contents. Calling it again gives nothing."""
        self._zip.close()
        return self._sink.taken()


class _Sink(io.RawIOBase):
    """A file that cannot be gone back in, as a connection cannot."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._buffer += data
        return len(data)

    def taken(self) -> bytes:
        taken, self._buffer = bytes(self._buffer), bytearray()
        return taken
