"""What runs a model, whatever lies below it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from relume.engines.models import ModelShape

Images = NDArray[np.float32]
"""(images, 3, height, width), RGB from 0 to 1."""
Precision = Literal["auto", "f32", "bf16", "int8"]

PROCESSOR = "processor"
"""What `Engine.device` says where there is no GPU."""


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How models are to run here."""

    cache: Path
    """The folder of converted models. May be deleted at any time."""
    precision: Precision = "auto"
    memory_mb: float = 2048.0
    """For loaded models and the tiles they work on, together."""
    tile: int = 0
    """Longest side of a tile in pixels; 0 finds it from the memory."""
    threads: int = 0
    """Processor threads; 0 is all."""


class Engine(Protocol):
    """A loaded model. One thread at a time may use it."""

    @property
    def shape(self) -> ModelShape: ...

    @property
    def precision(self) -> str:
        """What it computes in: f32, bf16, int8, f16."""
        ...

    @property
    def device(self) -> str:
        """In words for a report: processor, or the GPU's name."""
        ...

    @property
    def held_bytes(self) -> int:
        """Memory it takes while nothing runs."""
        ...

    @property
    def bytes_per_pixel(self) -> float:
        """Memory it takes while it runs, for each input pixel."""
        ...

    @property
    def batch(self) -> int:
        """How many tiles it likes at once."""
        ...

    def run(self, images: Images) -> Images:
        """Raises whatever `is_out_of_memory` tells apart."""
        ...

    def is_out_of_memory(self, error: BaseException) -> bool: ...

    def free_bytes(self) -> int:
        """Memory of its device that is free now; 0 where that cannot be told."""
        ...

    def release(self) -> None:
        """Give back what the last run's shape keeps allocated."""
        ...
