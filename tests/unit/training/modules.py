"""The modules of training/ that need torch and onnx."""

from __future__ import annotations

import importlib
from typing import Any

from tests.peers import missing
from tests.unit.engines.nets import need_packages


def module(name: str) -> Any:
    """`training.<name>`; skips the test where its packages are not here."""
    need_packages()
    try:
        import onnx  # noqa: F401
    except ModuleNotFoundError:
        missing("onnx, to write networks")
    return importlib.import_module(f"training.{name}")
