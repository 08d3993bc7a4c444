"""Write the damage finder as ONNX with float16 weights, for images of any size, and its entry in models.json."""

from __future__ import annotations

import hashlib
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from training.mask_net import REACH, STRIDE, MaskNet, Probability

_OPSET = 17


def export(net: MaskNet, path: Path) -> None:
    """RGB in [0, 1] to probabilities, both (1, channels, height, width); sides multiples of 16."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sides = {2: "height", 3: "width"}
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", DeprecationWarning
        )  # of the exporter that needs nothing else installed
        torch.onnx.export(
            Probability(net).float().eval(),
            (torch.zeros(1, 3, 4 * STRIDE, 4 * STRIDE),),
            str(path),
            input_names=["image"],
            output_names=["probability"],
            dynamic_axes={"image": sides, "probability": sides},
            opset_version=_OPSET,
            dynamo=False,
        )
    model = onnx.load(path)
    _halve_weights(model.graph)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    _describe(path)


def _describe(path: Path) -> None:
    """Put the file into the table beside it, in place of an older one of its name."""
    table, content = path.parent / "models.json", path.read_bytes()
    known: dict[str, Any] = (
        json.loads(table.read_text(encoding="utf-8")) if table.exists() else {"models": []}
    )
    entry = {
        "name": path.stem,
        "file": path.name,
        "sha256": hashlib.sha256(content).hexdigest(),
        "bytes": len(content),
        "version": "1",
        "licence": "Apache-2.0",
        "purpose": "finds scratches, dust and creases",
        "inputs": ["image"],
        "reach": REACH,
        "scale": 1,
        "multiple_of": STRIDE,
    }
    known["models"] = [*(model for model in known["models"] if model["name"] != path.stem), entry]
    table.write_text(json.dumps(known, indent=2) + "\n", encoding="utf-8")


def _halve_weights(graph: onnx.GraphProto) -> None:
    """Store float16, cast when loaded: half the size. The work itself stays float32."""
    casts = []
    for weights in graph.initializer:
        if weights.data_type != TensorProto.FLOAT or not weights.dims:
            continue
        halved = numpy_helper.from_array(
            numpy_helper.to_array(weights).astype(np.float16), f"{weights.name}.float16"
        )
        casts.append(helper.make_node("Cast", [halved.name], [weights.name], to=TensorProto.FLOAT))
        weights.CopyFrom(halved)
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
