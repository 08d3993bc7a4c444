"""What is known of the small trained networks that ship with Relume: `models/models.json`, one entry a file."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

SHIPPED = Path(__file__).parent / "models"
TABLE = "models.json"


@dataclass(frozen=True, slots=True)
class NetCard:
    """One network, as the table describes it. All lengths in input pixels."""

    name: str
    file: str
    sha256: str
    bytes: int
    version: str
    licence: str
    purpose: str
    inputs: tuple[str, ...]
    reach: int = 0
    """How far a pixel of the result depends on its surroundings: the receptive field's radius."""
    scale: int = 1
    """Sides of the result, times the input's."""
    multiple_of: int = 1
    """Sides it takes."""


class NetTable:
    """The cards of a folder, read when they are first asked for."""

    def __init__(self, folder: Path = SHIPPED) -> None:
        self.folder = folder

    @cached_property
    def cards(self) -> dict[str, NetCard]:
        """By name; empty where the folder has no table."""
        try:
            table: dict[str, Any] = json.loads((self.folder / TABLE).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        cards = [NetCard(**entry | {"inputs": tuple(entry["inputs"])}) for entry in table["models"]]
        return {card.name: card for card in cards}

    def read(self, card: NetCard) -> bytes:
        """The file's content. Raises OSError, and ValueError for one that is not what the table names."""
        content = (self.folder / card.file).read_bytes()
        if hashlib.sha256(content).hexdigest() != card.sha256:
            raise ValueError(f"{card.file} is damaged: its SHA-256 is another than the table's")
        return content
