"""What a training needs to go on after a stop, in one file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch


def save_checkpoint(state: dict[str, Any], path: Path) -> None:
    """Whole or not at all: a stop while it is written leaves the one before."""
    aside = path.with_suffix(".partial")
    torch.save(state, aside)
    aside.rename(path)
