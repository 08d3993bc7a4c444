"""Which weights lie in a folder. A file is what its content says, whatever its name."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from relume.telemetry import logger

log = logger(__name__)

Kind = Literal["upscaler", "faces", "detector", "recogniser", "other"]
SUFFIXES = (".pth", ".safetensors", ".ckpt", ".pt", ".onnx")
UNKNOWN_LICENCE = "unknown"
_CHUNK_BYTES = 1 << 20


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

    The index is a cache: losing it costs reading the files again, and two processes may write it at once.
    """

    def __init__(self, folder: Path, index: Path, identify: Identify) -> None:
        self.folder = folder
        self._index, self._identify = index, identify

    def scan(self) -> list[Weights]:
        """Every file of weights in the folder, by name. Reads each file once, and again only when it changed."""
        remembered, fresh = self._read(), {}
        found = []
        for path in self._files():
            try:
                weights, row = self._look_at(path, remembered.get(path.name))
            except OSError as error:
                log.warning("weights.unreadable", file=path.name, reason=error.strerror)
                continue
            found.append(weights)
            fresh[path.name] = row
        if fresh != remembered:
            self._write(fresh)
        return found

    def _files(self) -> list[Path]:
        if not self.folder.is_dir():
            return []
        return sorted(
            path for path in self.folder.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file()
        )

    def _look_at(self, path: Path, row: dict[str, Any] | None) -> tuple[Weights, dict[str, Any]]:
        status = path.stat()
        stamp = [status.st_size, status.st_mtime_ns]
        if row is None or row["stamp"] != stamp:
            row = {"stamp": stamp, "sha256": sha256_of(path), "identity": None}
        known = next((entry for entry in known_weights() if entry.sha256 == row["sha256"]), None)
        if known is not None:
            identity = Identity(known.kind, known.family, known.scale)
        elif row["identity"] is not None:
            identity = Identity(**row["identity"])
        else:
            identity = self._identify(path)
            row["identity"] = None if identity.can_pass else asdict(identity)
        return Weights(path, row["sha256"], status.st_size, identity, known), row

    def _read(self) -> dict[str, dict[str, Any]]:
        try:
            rows = json.loads(self._index.read_text(encoding="utf-8"))
            return {name: row for name, row in rows.items() if {"stamp", "sha256", "identity"} == set(row)}
        except (OSError, ValueError, AttributeError, TypeError):
            return {}

    def _write(self, rows: dict[str, dict[str, Any]]) -> None:
        with contextlib.suppress(OSError):  # A folder that cannot be written only costs time.
            write_whole(self._index, json.dumps(rows, indent=1).encode())


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
