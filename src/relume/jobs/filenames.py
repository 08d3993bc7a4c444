"""What a client called a file: kept to be shown, never to be opened."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Container

_LONGEST = 200
"""Characters. Room is left in the column for what counts a name twice."""
_RESERVED = re.compile(r"^(con|prn|aux|nul|com\d|lpt\d)$", re.IGNORECASE)
_FORBIDDEN = '<>:"/\\|?*'
_LONGEST_STEM_BYTES = 180


def display_name(given: str | None, index: int) -> str:
    """The last part of a client's file name, without control characters or what turns the reading direction.

    A file without a usable name is called by its place among the others, from 1.
    """
    return shown_filename(given) or f"file-{index + 1}"


def shown_filename(given: str | None) -> str | None:
    """As `display_name`; None for a file without a usable name."""
    last = re.split(r"[/\\]", given or "")[-1]
    kept = "".join(sign for sign in last if unicodedata.category(sign)[0] != "C")
    name = " ".join(unicodedata.normalize("NFC", kept).split())[:_LONGEST]
    return name if name.strip(". ") else None


def folded(text: str) -> str:
    """A text for comparing without regard to case, in any alphabet: databases fold ASCII alone, or by locale."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def unique_name(shown: str, extension: str, taken: Container[str]) -> str:
    """A file name made of a shown one that every operating system can write, unlike those in `taken`.

    `taken` holds names in lower case: two names that differ by case alone are one on Windows and macOS.
    """
    stem = "".join("_" if sign in _FORBIDDEN else sign for sign in shown.rpartition(".")[0] or shown)
    stem = stem.encode()[:_LONGEST_STEM_BYTES].decode(errors="ignore").strip(". ") or "photo"
    if _RESERVED.match(stem.partition(".")[0]):
        stem = f"_{stem}"
    name, number = f"{stem}.{extension}", 1
    while name.lower() in taken:
        number += 1
        name = f"{stem}-{number}.{extension}"
    return name
