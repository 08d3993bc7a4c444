"""What a training needs to go on after a stop, in one file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

Weights = dict[str, Tensor]
_AVERAGE = 0.998


def save_checkpoint(state: dict[str, Any], path: Path) -> None:
    """Whole or not at all: a stop while it is written leaves the one before."""
    aside = path.with_suffix(".partial")
    torch.save(state, aside)
    aside.rename(path)


def averaged(path: Path, device: torch.device | str = "cpu") -> Weights:
    """The averaged weights of a checkpoint: those that are exported."""
    weights: Weights = torch.load(path, map_location=device, weights_only=True)["average"]
    return weights


@torch.no_grad()
def follow(average: nn.Module, net: nn.Module, step: int) -> None:
    """Move the averaged weights towards the network's, fast in the first steps."""
    decay = min(_AVERAGE, (step + 1) / (step + 10))
    for kept, new in zip(average.parameters(), net.parameters(), strict=True):
        kept.lerp_(new, 1 - decay)
