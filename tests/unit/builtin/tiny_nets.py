"""Networks small enough to be written by hand, with the inputs and outputs of those that ship."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from relume.builtin.cards import TABLE, NetCard, NetTable
from relume.builtin.nets import Nets, Quality

_BEFORE = np.array([-0.03515625, 0.26171875, 0.87890625, -0.10546875, 0.0], np.float32)
"""Bicubic weights for a quarter of a pixel before the middle."""
_BINOMIAL = np.array([1, 4, 6, 4, 1], np.float32) / 16
_FEATURES = 472
NOISE_SHIFT, QUALITY_SHIFT = 0.1, 0.05
"""What `upscale2` adds, of 1, for controls of 1: so that a test sees what it was told."""


def upscaler() -> onnx.ModelProto:
    """Bicubic, twice; brighter where it is told of noise or compression."""
    phases = [
        np.outer(down, across) for down in (_BEFORE, _BEFORE[::-1]) for across in (_BEFORE, _BEFORE[::-1])
    ]
    weights = np.zeros((12, 3, 5, 5), np.float32)
    for channel in range(3):
        for place, phase in enumerate(phases):
            weights[4 * channel + place, channel] = phase
    shift = np.array([[NOISE_SHIFT], [QUALITY_SHIFT]], np.float32)
    return _model(
        [
            helper.make_node("Conv", ["image", "weights"], ["shuffled"], pads=[2, 2, 2, 2]),
            helper.make_node("DepthToSpace", ["shuffled"], ["large"], blocksize=2, mode="CRD"),
            helper.make_node("MatMul", ["controls", "shift"], ["added"]),
            helper.make_node("Add", ["large", "added"], ["result"]),
        ],
        {"weights": weights, "shift": shift},
    )


def cleaner() -> onnx.ModelProto:
    """A blur of five pixels, by as much as it is told of noise."""
    weights = np.zeros((3, 3, 5, 5), np.float32)
    for channel in range(3):
        weights[channel, channel] = np.outer(_BINOMIAL, _BINOMIAL)
    return _model(
        [
            helper.make_node("Conv", ["image", "weights"], ["soft"], pads=[2, 2, 2, 2]),
            helper.make_node("Sub", ["soft", "image"], ["change"]),
            helper.make_node("MatMul", ["controls", "first"], ["strength"]),
            helper.make_node("Mul", ["change", "strength"], ["part"]),
            helper.make_node("Add", ["image", "part"], ["result"]),
        ],
        {"weights": weights, "first": np.array([[1], [0]], np.float32)},
    )


def estimator(sigma: float, quality: float) -> onnx.ModelProto:
    """Says the same of every photo, and is sure of it."""
    answer = np.array([[sigma / 12, (100 - quality) / 100, 0, 0, 0, 0]], np.float32)
    nodes = [
        helper.make_node("MatMul", ["features", "nothing"], ["zero"]),
        helper.make_node("Add", ["zero", "answer"], ["result"]),
    ]
    constants = {"nothing": np.zeros((_FEATURES, 6), np.float32), "answer": answer}
    return _model(nodes, constants, {"features": ["photos", _FEATURES]})


def finder() -> onnx.ModelProto:
    """Takes what is nearly white for damage: the probability rises from 0 at level 204 to 1 at 255."""
    weights = np.full((1, 3, 1, 1), 5 / 3, np.float32)
    return _model(
        [
            helper.make_node("Conv", ["image", "weights", "bias"], ["white"]),
            helper.make_node("Clip", ["white", "least", "most"], ["result"]),
        ],
        {
            "weights": weights,
            "bias": np.array([-4], np.float32),
            "least": np.array(0, np.float32),
            "most": np.array(1, np.float32),
        },
        {"image": [1, 3, "height", "width"]},
    )


def write(folder: Path, **models: onnx.ModelProto) -> NetTable:
    """The models as files with their table; `_` in a name stands for `-`."""
    cards = []
    for key, model in models.items():
        name, content = key.replace("_", "-"), model.SerializeToString()
        (folder / f"{name}.onnx").write_bytes(content)
        cards.append(
            NetCard(
                name=name,
                file=f"{name}.onnx",
                sha256=hashlib.sha256(content).hexdigest(),
                bytes=len(content),
                version="0",
                licence="Apache-2.0",
                purpose="tests",
                inputs=tuple(value.name for value in model.graph.input),
                reach=2,
                scale=2 if name.startswith("upscale2") else 1,
            )
        )
    (folder / TABLE).write_text(json.dumps({"models": [asdict(card) for card in cards]}), encoding="utf-8")
    return NetTable(folder)


def all_nets(folder: Path, quality: Quality = "auto") -> Nets:
    """An upscaler in both sizes and a cleaner."""
    table = write(folder, upscale2=upscaler(), upscale2_fast=upscaler(), clean=cleaner())
    return Nets(table, quality=quality, threads=1)


def _model(
    nodes: list[onnx.NodeProto],
    constants: dict[str, NDArray[Any]],
    inputs: dict[str, list[int | str]] | None = None,
) -> onnx.ModelProto:
    shapes = inputs or {"image": [1, 3, "height", "width"], "controls": [1, 2]}
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()],
        [helper.make_tensor_value_info("result", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
