"""What machine this is, and what such a machine costs a second, from the table in hardware.json."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from functools import cache
from importlib.resources import files
from pathlib import Path

from pydantic import BaseModel, ConfigDict, NonNegativeFloat


class Machine(BaseModel):
    """Where something was measured."""

    model_config = ConfigDict(frozen=True)

    processor: str
    cores: int
    gpu: str | None = None
    """As its driver calls it: Tesla T4."""

    @property
    def words(self) -> str:
        return (
            f"{self.gpu}, {self.processor}" if self.gpu else f"{self.processor}, {self.cores} cores, no GPU"
        )

    def is_a(self, gpu: str) -> bool:
        """Whether its GPU is of that kind: `t4` fits `Tesla T4` and not `T400`."""
        return (
            self.gpu is not None and re.search(rf"\b{re.escape(gpu)}\b", self.gpu, re.IGNORECASE) is not None
        )


class HardwarePrices(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str
    usd_per_second: dict[str, NonNegativeFloat]

    def kind_of(self, machine: Machine) -> str | None:
        """The line of the table that a machine is on."""
        return next((kind for kind in self.usd_per_second if machine.is_a(kind)), None)


@cache
def hardware_prices() -> HardwarePrices:
    return HardwarePrices.model_validate_json(
        files("relume.cli.costing").joinpath("hardware.json").read_bytes()
    )


def this_machine() -> Machine:
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return Machine(processor=_processor(), cores=cores, gpu=_gpu())


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return named or platform.processor() or platform.machine()


def _gpu() -> str | None:
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    command = [program, "--query-gpu=name", "--format=csv,noheader"]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)  # noqa: S603
    names = answer.stdout.strip().splitlines()
    return names[0].strip() if answer.returncode == 0 and names else None
