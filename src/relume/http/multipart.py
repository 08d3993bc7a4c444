"""A multipart form read part by part: however many files it has, one is in memory at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect

from relume.errors import ImageTooLarge, InvalidInput

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

_FILES = "files"
"""The name of every file's field. A client may leave the file's own name out."""
_MAX_FIELD_BYTES = 64 * 1024
_MAX_FIELDS = 20
_UNREADABLE = "The form cannot be read. Send the photos as multipart/form-data, in fields named 'files'."
_CUT_OFF = "The form ends before its last boundary: it was not sent whole."


@dataclass(frozen=True, slots=True)
class FormLimits:
    max_files: int
    max_file_bytes: int
    max_total_bytes: int


@dataclass(slots=True)
class Part:
    """One field of a form, or one file."""

    name: str
    filename: str | None
    """None for a field. A file may have an empty one."""
    size_bytes: int = 0
    data: bytearray | None = field(default_factory=bytearray)
    """None for a file that was larger than allowed: its bytes were thrown away as they came."""

    @property
    def text(self) -> str:
        return (self.data or b"").decode("utf-8", "replace")


async def read_parts(request: Request, limits: FormLimits) -> AsyncIterator[Part]:
    """The parts of a form in their order. While one is used, no more than a chunk of the next is read.

    A file that is too large comes without its data; a form with too many files or bytes is refused.
    Raises InvalidInput, and ImageTooLarge for the form as a whole.
    """
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if kind != b"multipart/form-data" or not options.get(b"boundary"):
        raise InvalidInput(_UNREADABLE)
    collector = _Collector(limits)
    try:
        parser = MultipartParser(options[b"boundary"], collector.callbacks())
        async for chunk in _bounded(request, limits.max_total_bytes):
            parser.write(chunk)
            for part in collector.take():
                yield part
        parser.finalize()
    except FormParserError as error:
        raise InvalidInput(_UNREADABLE) from error
    except ClientDisconnect as error:
        raise InvalidInput(_CUT_OFF) from error
    if not collector.is_complete:
        raise InvalidInput(_CUT_OFF)


async def _bounded(request: Request, max_bytes: int) -> AsyncIterator[bytes]:
    too_large = ImageTooLarge(
        f"The photos are too large together; at most {max_bytes / 1e6:g} MB are allowed in one request."
    )
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > max_bytes:
        raise too_large
    received = 0
    async for chunk in request.stream():
        received += len(chunk)
        if received > max_bytes:
            raise too_large
        yield chunk


class _Collector:
    """What the parser calls back: puts headers and data together into parts."""

    def __init__(self, limits: FormLimits) -> None:
        self._limits = limits
        self._finished: list[Part] = []
        self._part = Part("", None)
        self._header, self._value = b"", b""
        self._disposition = b""
        self._files = self._fields = 0
        self.is_complete = False

    def callbacks(self) -> MultipartCallbacks:
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._header_field,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_finished,
            "on_part_data": self._data,
            "on_part_end": self._end,
            "on_end": self._complete,
        }

    def take(self) -> list[Part]:
        """The parts that are complete by now, each given once."""
        finished, self._finished = self._finished, []
        return finished

    def _begin(self) -> None:
        self._header, self._value, self._disposition = b"", b"", b""

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = self._value
        self._header, self._value = b"", b""

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._disposition)
        if b"name" not in options:
            raise InvalidInput(_UNREADABLE)
        name = options[b"name"].decode("utf-8", "replace")
        filename = options.get(b"filename", b"" if name == _FILES else None)
        self._part = Part(name, None if filename is None else filename.decode("utf-8", "replace"))
        self._count()

    def _count(self) -> None:
        if self._part.filename is None:
            self._fields += 1
            if self._fields > _MAX_FIELDS:
                raise InvalidInput(f"The form has too many fields; at most {_MAX_FIELDS} are allowed.")
            return
        if self._part.name != _FILES:
            raise InvalidInput("Send the photos as files in fields named 'files'.")
        self._files += 1
        if self._files > self._limits.max_files:
            raise InvalidInput(
                f"These are too many photos; at most {self._limits.max_files} are allowed in one request."
            )

    def _data(self, data: bytes, start: int, end: int) -> None:
        part = self._part
        part.size_bytes += end - start
        if part.filename is None and part.size_bytes > _MAX_FIELD_BYTES:
            raise InvalidInput(f"The field '{part.name[:40]}' is too long.")
        if part.size_bytes > self._limits.max_file_bytes:
            part.data = None
        if part.data is not None:
            part.data += data[start:end]

    def _end(self) -> None:
        self._finished.append(self._part)
        self._part = Part("", None)

    def _complete(self) -> None:
        self.is_complete = True
