"""Which photos there are to restore, in the order they are worked on."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from relume.cli.restoring.manifest import MANIFEST_NAME, written_outputs

PHOTO_SUFFIXES = frozenset(
    (
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".heic", ".heif", ".hif", ".avif"),
        *(".tif", ".tiff", ".bmp", ".dib", ".gif"),
    )
)
"""In a folder, only files with these endings are taken: a RAW file is a TIFF by its first bytes."""


@dataclass(frozen=True, slots=True)
class Source:
    """One photo to restore."""

    path: Path
    """Absolute."""
    shown: str
    """As the user named it, or below the folder as the user named that."""
    place: PurePosixPath
    """Where it lies below the folder that was named; the output folder repeats it."""


@dataclass(slots=True)
class Plan:
    sources: list[Source] = field(default_factory=list)
    problems: list[tuple[str, str]] = field(default_factory=list)
    """What was named or met but cannot be read, and why."""
    not_photos: int = 0
    """Other files met in folders."""


def make_plan(inputs: Sequence[tuple[Path, str]], output: Path) -> Plan:
    """Look through what was named: absolute paths, and how to show them.

    Nothing that `relume restore` wrote is taken for an input: neither the output folder, nor any other
    folder with a manifest, nor the files a manifest lists.
    """
    search = _Search(output)
    for path, shown in inputs:
        if path.is_dir():
            search.folder(path, shown)
        else:
            search.named_file(path, shown)
    return search.plan


class _Search:
    def __init__(self, output: Path) -> None:
        self.plan = Plan()
        self._output = os.path.realpath(output)
        self._written = written_outputs(output)
        self._seen: set[str] = set()
        """Folders by their real path: links may lead in circles. Files by the path they were met at."""

    def named_file(self, path: Path, shown: str) -> None:
        if not os.path.lexists(path):
            self.plan.problems.append((shown, "there is no such file or folder"))
        elif not path.is_file():
            self.plan.problems.append((shown, "this is neither a file nor a folder"))
        else:
            self._take(path, shown, PurePosixPath(path.name))

    def folder(self, named: Path, shown: str) -> None:
        for folder, names in self._folders(named, shown):
            written = self._written | written_outputs(folder)
            for name in names:
                self._met(folder / name, named, shown, written)

    def _folders(self, named: Path, shown: str) -> Iterator[tuple[Path, list[str]]]:
        def cannot_read(error: OSError) -> None:
            path = Path(error.filename or named)
            self.plan.problems.append((_shown(path, named, shown), _reason(error)))

        for folder, subfolders, names in os.walk(named, followlinks=True, onerror=cannot_read):
            real = os.path.realpath(folder)
            if real in self._seen or (Path(folder) != named and self._holds_results(real)):
                subfolders.clear()
                continue
            self._seen.add(real)
            subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
            yield Path(folder), sorted(names)

    def _holds_results(self, folder: str) -> bool:
        return folder == self._output or Path(folder, MANIFEST_NAME).exists()

    def _met(self, path: Path, named: Path, shown: str, written: Collection[Path]) -> None:
        """A file in a folder. Hidden files are no photos: macOS leaves `._photo.jpg` beside `photo.jpg`."""
        if path in written or path.name == MANIFEST_NAME:
            return
        if path.name.startswith(".") or path.suffix.lower() not in PHOTO_SUFFIXES:
            self.plan.not_photos += 1
        elif not path.is_file():
            self.plan.problems.append((_shown(path, named, shown), "this is not a file that can be read"))
        else:
            self._take(path, _shown(path, named, shown), PurePosixPath(path.relative_to(named).as_posix()))

    def _take(self, path: Path, shown: str, place: PurePosixPath) -> None:
        if str(path) not in self._seen:
            self._seen.add(str(path))
            self.plan.sources.append(Source(path, shown, place))


def _shown(path: Path, named: Path, shown: str) -> str:
    return str(Path(shown) / path.relative_to(named)) if path.is_relative_to(named) else str(path)


def _reason(error: OSError) -> str:
    return f"it cannot be read ({error.strerror or type(error).__name__})"
