"""Which weights lie in a folder. A file is what its content says, whatever its name."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from relume.ports import Credit
from relume.telemetry import logger

log = logger(__name__)

Kind = Literal["upscaler", "faces", "detector", "recogniser", "other"]
SUFFIXES = (".pth", ".safetensors", ".ckpt", ".pt", ".onnx")
UNKNOWN_LICENCE = "unknown"
_CHUNK_BYTES = 1 << 20

Stamp = tuple[int, int]
"""A file's size in bytes and its time of change in nanoseconds: what tells that it is another one."""
Listing = dict[str, Stamp]
"""Files by name."""


@dataclass(frozen=True, slots=True)
class KnownWeights:
    """A file that can be downloaded."""

    file: str
    url: str
    bytes: int
    sha256: str
    family: str
    kind: Kind
    scale: int
    purpose: str
    licence: str
    licence_note: str
    version: str = ""
    by: str = ""
    """Who made them."""
    project: str = ""
    """The address where they are published."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What an unknown file of weights is, as far as its content tells."""

    kind: Kind
    architecture: str
    scale: int = 1
    problem: str = ""
    """Why it cannot be used, in words for a user. Empty when it can."""
    can_pass: bool = False
    """Whether another look may tell more, once a package is installed."""


@dataclass(frozen=True, slots=True)
class Weights:
    """A file of weights that is here."""

    path: Path
    sha256: str
    size_bytes: int
    identity: Identity
    known: KnownWeights | None
    modified_ns: int = 0
    """The file's time of change when it was read; 0 where nobody looked."""

    @property
    def stamp(self) -> Stamp:
        return self.size_bytes, self.modified_ns

    @property
    def is_replaced(self) -> bool:
        """Whether another file lies there by now: then the SHA-256 is not its own."""
        return self.modified_ns != 0 and _stamp_of(self.path) != self.stamp

    @property
    def kind(self) -> Kind:
        return self.known.kind if self.known else self.identity.kind

    @property
    def scale(self) -> int:
        return self.known.scale if self.known else self.identity.scale

    @property
    def family(self) -> str:
        """The name that users know the model by."""
        return self.known.family if self.known else self.identity.architecture

    @property
    def version(self) -> str:
        """Tells two files of one family apart."""
        named = self.known.version if self.known else ""
        return f"{named} {self.sha256[:12]}".strip()

    @property
    def licence(self) -> str:
        return self.known.licence if self.known else UNKNOWN_LICENCE

    @property
    def credit(self) -> Credit:
        """Of a file that is not known, nobody can tell more than what it is."""
        if self.known is None:
            return Credit(self.family, self.version, UNKNOWN_LICENCE)
        known = self.known
        return Credit(self.family, self.version, known.licence, known.licence_note, known.by, known.project)


Identify = Callable[[Path], Identity]


@cache
def known_weights() -> tuple[KnownWeights, ...]:
    table = json.loads(files("relume.engines").joinpath("known.json").read_text(encoding="utf-8"))
    return tuple(KnownWeights(**row) for row in table)


def sha256_of(path: Path, on_bytes: Callable[[int], None] = lambda _count: None) -> str:
    """In hexadecimal. `on_bytes` is told the size of each piece read."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
            on_bytes(len(chunk))
    return digest.hexdigest()


class WeightsFolder:
    """A folder of weights, and an index beside it that remembers each file's hash by size and time of change.

    The index is a cache: losing it costs reading the files again, and two processes may write it at once. What
    this object has read it remembers by itself too.
    """

    def __init__(self, folder: Path, index: Path, identify: Identify) -> None:
        self.folder = folder
        self._index, self._identify = index, identify
        self._rows: dict[str, dict[str, Any]] = {}
        self._complaints: dict[str, str] = {}

    def listing(self) -> Listing:
        """Every file of weights, by name; empty where there is no folder. Reads none of them.

        Raises OSError for a folder that cannot be listed.
        """
        try:
            entries = list(os.scandir(self.folder))
        except (FileNotFoundError, NotADirectoryError):
            return {}
        named = sorted(entry.name for entry in entries if Path(entry.name).suffix.lower() in SUFFIXES)
        stamps = {name: _stamp_of(self.folder / name) for name in named}
        return {name: stamp for name, stamp in stamps.items() if stamp is not None}

    def scan(self, listing: Listing | None = None) -> list[Weights]:
        """Every file of weights in the folder, by name. Reads each file once, and again only when it changed.

        With `listing`, only the files that are still as it tells. What changes while it is read is left out.
        """
        listing = self._listing_or_none() if listing is None else listing
        remembered, fresh = self._read(), {}
        found = []
        for name, stamp in listing.items():
            rows = (self._rows.get(name), remembered.get(name))
            row = next((row for row in rows if row and row["stamp"] == list(stamp)), None)
            try:
                weights, row = self._look_at(name, stamp, row)
            except OSError as error:
                self.complain(name, error)
                continue
            if _stamp_of(self.folder / name) == stamp:
                self._complaints.pop(name, None)
                found.append(weights)
                fresh[name] = row
        if fresh != remembered:
            self._write(fresh)
        self._rows = fresh
        return found

    def _listing_or_none(self) -> Listing:
        try:
            return self.listing()
        except OSError as error:
            self.complain(self.folder.name, error)
            return {}

    def complain(self, file: str, error: OSError) -> None:
        """In the log, once, however often it is tried."""
        reason = error.strerror or type(error).__name__
        if self._complaints.get(file) != reason:
            log.warning("weights.unreadable", file=file, reason=reason)
        self._complaints[file] = reason

    def _look_at(self, name: str, stamp: Stamp, row: dict[str, Any] | None) -> tuple[Weights, dict[str, Any]]:
        path = self.folder / name
        if row is None:
            row = {"stamp": list(stamp), "sha256": sha256_of(path), "identity": None}
        known = next((entry for entry in known_weights() if entry.sha256 == row["sha256"]), None)
        if known is not None:
            identity = Identity(known.kind, known.family, known.scale)
        elif row["identity"] is not None:
            identity = Identity(**row["identity"])
        else:
            identity = self._identify(path)
            row = row | {"identity": None if identity.can_pass else asdict(identity)}
        size, modified_ns = stamp
        return Weights(path, row["sha256"], size, identity, known, modified_ns), row

    def _read(self) -> dict[str, dict[str, Any]]:
        try:
            rows = json.loads(self._index.read_text(encoding="utf-8"))
            return {name: row for name, row in rows.items() if {"stamp", "sha256", "identity"} == set(row)}
        except (OSError, ValueError, AttributeError, TypeError):
            return {}

    def _write(self, rows: dict[str, dict[str, Any]]) -> None:
        with contextlib.suppress(OSError):  # A folder that cannot be written only costs time.
            write_whole(self._index, json.dumps(rows, indent=1).encode())


def _stamp_of(path: Path) -> Stamp | None:
    """None for what is no file, or cannot be looked at."""
    try:
        status = path.stat()
    except OSError:
        return None
    return (status.st_size, status.st_mtime_ns) if stat.S_ISREG(status.st_mode) else None


def write_whole(path: Path, data: bytes) -> None:
    """A file that is there entirely or not at all, whoever writes it at the same time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
