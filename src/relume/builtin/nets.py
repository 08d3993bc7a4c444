"""The networks at hand: read when they are first needed, kept, and none at all where OpenVINO cannot be loaded.

Every step has a classical way too. It is the way taken where a network is missing.
"""

from __future__ import annotations

import os
import sys
import threading
from importlib.util import find_spec
from typing import Literal

import cv2
import numpy as np

from relume.builtin.cards import NetTable
from relume.builtin.net import Net, NetOptions
from relume.telemetry import logger

log = logger(__name__)

Quality = Literal["auto", "best", "fast"]
FAST = "-fast"
"""Ends the name of a network's smaller sister."""

AUTO_MEGAPIXELS = 32.0
AUTO_SECONDS = 20.0
_PROBE_SIDE = 96


class Nets:
    """Loads what the table names. Threads may share one; each network is loaded once."""

    def __init__(
        self,
        table: NetTable | None = None,
        *,
        quality: Quality = "auto",
        precision: str = "auto",
        threads: int = 0,
    ) -> None:
        """`threads` 0: as many as OpenCV takes, which heeds a container's limit."""
        self.table = table or NetTable()
        self.quality = quality
        self._precision, self._threads = precision, threads
        self._loaded: dict[str, Net | None] = {}
        self._loading = threading.Lock()
        self._problems: dict[str, str] = {}

    @property
    def problem(self) -> str | None:
        """Why networks that ship are not used, as the beginning of a sentence; None when all is well.

        That a file is damaged is known once it has been asked for.
        """
        if self.table.cards and find_spec("openvino") is None:
            return "OpenVINO is not installed"
        return next(iter(self._problems.values()), None)

    def excuse(self, name: str) -> str:
        """For the report of a step that had to do without: a sentence after a space, or nothing."""
        problem = self._problems.get(name) or self._problems.get(name + FAST)
        return f" {problem}: this was done without a network." if problem else ""

    @property
    def fingerprint(self) -> str:
        """What results depend on besides the photo: another one makes cached results outdated."""
        digests = (card.sha256[:16] for card in self.table.cards.values())
        return " ".join((self.quality, self._precision, "without" if self.problem else "with", *digests))

    def get(self, name: str) -> Net | None:
        """The network of that name; None where there is none, or where `problem` says why not."""
        with self._loading:
            if name not in self._loaded:
                self._loaded[name] = self._load(name)
            return self._loaded[name]

    def pick(self, name: str, megapixels: float) -> Net | None:
        """The network or its fast sister, as the quality asks for, to make a result of so many megapixels.

        `auto` takes the fast one for results above 32 megapixels, and where the other is measured to need more
        than 20 seconds on this machine.
        """
        if self.quality == "fast":
            return self.get(name + FAST) or self.get(name)
        if self.quality == "auto" and name + FAST in self.table.cards and self._is_long(name, megapixels):
            return self.get(name + FAST) or self.get(name)
        return self.get(name) or self.get(name + FAST)

    def _is_long(self, name: str, megapixels: float) -> bool:
        if megapixels > AUTO_MEGAPIXELS:
            return True
        net = self.get(name)
        if net is None:
            return True
        if not net.seconds_per_megapixel:
            _probe(net)
        return net.seconds_per_megapixel * megapixels > AUTO_SECONDS

    def _load(self, name: str) -> Net | None:
        card = self.table.cards.get(name)
        if card is None:
            return None
        try:
            content = self.table.read(card)
            return Net(card, content, NetOptions(self._threads or _fewer_threads(), self._precision))
        except ValueError as error:
            problem, cause = f"The network {name} is damaged", str(error)
        except ImportError as error:
            problem, cause = "OpenVINO is not installed", str(error)
        except (OSError, RuntimeError, AttributeError) as error:
            problem, cause = f"OpenVINO cannot load the network {name} here", str(error)
        log.warning("net.unusable", net=name, cause=cause.partition("\n")[0])
        self._problems[name] = problem
        return None


NO_NETS = Nets(NetTable(NetTable().folder / "none"))
"""For the classical steps alone."""


def _fewer_threads() -> int:
    """0 where all cores may be used: then OpenVINO knows best how many threads they are worth."""
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    allowed = cv2.getNumThreads()
    return allowed if 0 < allowed < cores else 0


def _probe(net: Net) -> None:
    """Twice: the first run of any network takes longer."""
    side = -(-_PROBE_SIDE // net.card.multiple_of) * net.card.multiple_of
    grey = np.full((side, side, 3), 128, np.uint8)
    for _ in range(2):
        net.levels(grey)
