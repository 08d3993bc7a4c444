"""Write a network as ONNX, and read its weights again."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from training.checkpoint import Weights

_OPSET = 17

Sides = Mapping[int, str]
"""Names of the dimensions that may have any length."""


def write(
    net: nn.Module,
    examples: tuple[Tensor, ...],
    path: Path,
    *,
    inputs: Sequence[str],
    outputs: Sequence[str],
    any_length: Mapping[str, Sides] | None = None,
) -> None:
    """`examples`: one of each input; `any_length`: by input or output, the dimensions that are not fixed to them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        # Of the exporter that needs nothing else installed.
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            net.eval(),
            examples,
            str(path),
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_axes={name: dict(sides) for name, sides in (any_length or {}).items()},
            opset_version=_OPSET,
            dynamo=False,
        )


def stored_weights(path: Path) -> Weights:
    """By the names they have in the file, in the precision they are stored in."""
    return {
        stored.name: torch.tensor(numpy_helper.to_array(stored))
        for stored in onnx.load(path).graph.initializer
    }
