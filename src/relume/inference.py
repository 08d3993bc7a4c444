"""OpenVINO, imported late and without what it would do besides.

OpenVINO's converter reports its use to its makers unless a file in the user's home forbids it. Relume
connects to what is configured and to nothing else: the reporting package is kept from being imported, for
which OpenVINO and NNCF have a silent substitute of their own.
"""

from __future__ import annotations

import importlib
import sys
import threading
from typing import Any

_TELEMETRY = "openvino_telemetry"
importing = threading.RLock()
"""Held while a library is imported whose surroundings are changed for that time."""


def openvino() -> Any:
    """Raises ImportError where it is not installed, and whatever a damaged installation raises."""
    with importing:
        silence()
        return importlib.import_module("openvino")


def silence() -> None:
    if _TELEMETRY not in sys.modules:
        sys.modules[_TELEMETRY] = None  # type: ignore[assignment] # None makes its import fail, by the language's own rule
