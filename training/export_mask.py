"""Write the damage finder as ONNX with float16 weights, for images of any size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from training.mask_net import STRIDE, MaskNet, Probability

_OPSET = 17


def export(net: MaskNet, path: Path) -> None:
    """RGB in [0, 1] to probabilities, both (1, channels, height, width); sides multiples of 16."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sides = {2: "height", 3: "width"}
    torch.onnx.export(
        Probability(net).float().eval(),
        (torch.zeros(1, 3, 4 * STRIDE, 4 * STRIDE),),
        path,
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
