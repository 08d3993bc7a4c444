"""The output folder: one run at a time, names that are free, and files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import itertools
import os
import secrets
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any, Self

from relume.cli.restoring.manifest import MANIFEST_NAME, Entry, Memory, parse
from relume.cli.restoring.plan import Source

_PART_PREFIX, _PART_SUFFIX = ".relume-", ".part"
_STEM_BYTES = 200
"""File systems end names at 255 bytes; the rest is for what is added."""
_NO_MORE_WRITING = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}
_LOCK_OFFSET = 1 << 30
"""On Windows a lock also keeps others from reading: lock where no byte is."""


class FolderUnusableError(Exception):
    """Nothing more can be written into the folder. The message says why."""


class OutputFolder:
    """A folder of results with its manifest. Use as a context manager: it holds a lock."""

    def __init__(self, path: Path) -> None:
        """Raises FolderUnusableError."""
        self.path = path
        try:
            path.mkdir(parents=True, exist_ok=True)
            self._manifest: IO[bytes] = (path / MANIFEST_NAME).open("a+b")
        except OSError as error:
            raise FolderUnusableError(
                f"{path} cannot be used as the output folder ({error.strerror})."
            ) from error
        if not _lock(self._manifest):
            self._manifest.close()
            raise FolderUnusableError(f"Another relume restore is writing into {path}.")
        self._memory = Memory(self._read())
        self._sweep()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self._manifest.close()

    def earlier(self, source: Source, sha256: str, options: dict[str, Any]) -> Entry | None:
        """What an earlier run made of this photo with these options, if it is still there unchanged."""
        for entry in self._memory.candidates(str(source.path), str(source.place), sha256, options):
            if _sha256_of(self.path / entry.output) == entry.output_sha256:
                self._memory.give(entry)
                return entry
        return None

    def free_output(self, place: PurePosixPath, extension: str) -> PurePosixPath:
        """A path below this folder that nothing has: `a-restored.jpg`, `a-restored-2.jpg` and so on."""
        return next(
            output
            for output in _output_names(place, extension)
            if not os.path.lexists(self.path.joinpath(output))
        )

    def publish(self, entry: Entry, data: bytes) -> None:
        """Write a result and its manifest line. A kill at any point leaves both or is made good later.

        Raises OSError, or FolderUnusableError when no other result could be written either.
        """
        target = self.path / entry.output
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with _part_file(target.parent, data) as part:
                self._manifest.write(entry.line())
                _flush(self._manifest)
                _rename_to_free(part, target)
        except OSError as error:
            if error.errno in _NO_MORE_WRITING:
                raise FolderUnusableError(
                    f"Nothing can be written into {self.path} ({error.strerror})."
                ) from error
            raise

    def _read(self) -> list[Entry]:
        """The entries so far. A line that a kill cut short is ended, so that the next one stands alone."""
        self._manifest.seek(0)
        content = self._manifest.read()
        if content and not content.endswith(b"\n"):
            self._manifest.write(b"\n")
        return parse(content)

    def _sweep(self) -> None:
        """Delete what a killed run was just writing."""
        for part in self.path.rglob(f"{_PART_PREFIX}*{_PART_SUFFIX}"):
            with contextlib.suppress(OSError):
                part.unlink()


def _output_names(place: PurePosixPath, extension: str) -> Iterator[PurePosixPath]:
    stem = os.fsencode(place.stem)[:_STEM_BYTES].decode(errors="ignore")
    yield place.with_name(f"{stem}-restored.{extension}")
    for number in itertools.count(2):
        yield place.with_name(f"{stem}-restored-{number}.{extension}")


@contextlib.contextmanager
def _part_file(folder: Path, data: bytes) -> Iterator[Path]:
    """The data, safely on disk under a passing name in `folder`."""
    part = folder / f"{_PART_PREFIX}{secrets.token_hex(4)}{_PART_SUFFIX}"
    try:
        with part.open("xb") as file:
            file.write(data)
            _flush(file)
        yield part
    finally:
        part.unlink(missing_ok=True)


def _rename_to_free(part: Path, target: Path) -> None:
    """Give a file its name, unless something has it by now. Raises FileExistsError."""
    if sys.platform == "win32":
        part.rename(target)  # On Windows this refuses to replace.
        return
    try:
        os.link(part, target)
    except FileExistsError:
        raise
    except OSError:  # Some file systems have no links, exFAT for one.
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from None
        part.replace(target)


def _flush(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())


def _lock(file: IO[bytes]) -> bool:
    """Lock a file until it is closed. False when another process has it.

    Where a file system knows no locks, nothing is locked: that is no reason to refuse the work.
    """
    try:
        if sys.platform == "win32":
            import msvcrt

            file.seek(_LOCK_OFFSET)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in (errno.EACCES, errno.EAGAIN, errno.EDEADLK)
    return True


def _sha256_of(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None
