"""What was written into an output folder, one JSON line a result, so that a repeated run skips it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

MANIFEST_NAME = ".relume-restore.jsonl"


@dataclass(frozen=True, slots=True)
class Entry:
    """One result. Written just before the result appears, so its file may be missing after a crash."""

    input: str
    """Absolute path of the photo at that time."""
    place: str
    """The photo's path below the folder that was named."""
    input_sha256: str
    options: dict[str, Any]
    """What decides a result besides the photo: model, strength, scale."""
    relume: str
    """The version that did it."""
    output: str
    """Path of the result below the output folder, with forward slashes."""
    output_sha256: str
    outcome: str
    fidelity: float
    seconds: float
    steps: list[dict[str, Any]]

    def line(self) -> bytes:
        return json.dumps(asdict(self)).encode() + b"\n"


def parse(content: bytes) -> list[Entry]:
    """The entries of a manifest. Lines that are cut short or from another program are left out."""
    names = {field.name for field in fields(Entry)}
    entries = []
    for line in content.splitlines():
        try:
            values = json.loads(line)
        except ValueError:
            continue
        if isinstance(values, dict) and names <= values.keys():
            entries.append(Entry(**{name: values[name] for name in names}))
    return entries


def written_outputs(folder: Path) -> frozenset[Path]:
    """The results that the manifest of a folder lists; none where there is no manifest."""
    try:
        content = (folder / MANIFEST_NAME).read_bytes()
    except OSError:
        return frozenset()
    return frozenset(folder / entry.output for entry in parse(content))


class Memory:
    """Finds the earlier result of a photo. Each result answers for one photo only.

    A photo is known again by its bytes and its place, wherever the folder now is. Of equal copies, each
    one's own path comes first.
    """

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._entries: dict[tuple[str, str, str], list[Entry]] = {}
        for entry in entries:
            self.add(entry)

    def add(self, entry: Entry) -> None:
        self._entries.setdefault(_key(entry.place, entry.input_sha256, entry.options), []).append(entry)

    def candidates(self, path: str, place: str, sha256: str, options: dict[str, Any]) -> list[Entry]:
        """The results that may answer for this photo, the likeliest first. Then `give` one to it."""
        entries = self._entries.get(_key(place, sha256, options), [])
        return sorted(entries, key=lambda entry: entry.input != path)

    def give(self, entry: Entry) -> None:
        """Give this result to the photo at hand: no other may have it."""
        self._entries[_key(entry.place, entry.input_sha256, entry.options)].remove(entry)


def _key(place: str, sha256: str, options: dict[str, Any]) -> tuple[str, str, str]:
    return place, sha256, json.dumps(options, sort_keys=True)
