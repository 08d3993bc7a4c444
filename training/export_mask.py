"""Write the damage finder as ONNX with float16 weights, for images of any size.

    python -m training.export_mask

Then `training.ship damage` describes it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from relume.builtin.cards import SHIPPED
from relume.builtin.damage_net import NAME
from training.checkpoint import Weights, averaged
from training.mask_net import REACH, STRIDE, MaskNet, Probability
from training.onnx_file import stored_weights, write

CHECKPOINT = f"{NAME}.pt"
_HALVED = ".float16"


def export(net: MaskNet, path: Path) -> None:
    """RGB in [0, 1] to probabilities, both (1, channels, height, width); sides multiples of 16."""
    sides = {2: "height", 3: "width"}
    write(
        Probability(net).float(),
        (torch.zeros(1, 3, 4 * STRIDE, 4 * STRIDE),),
        path,
        inputs=("image",),
        outputs=("probability",),
        any_length={"image": sides, "probability": sides},
    )
    model = onnx.load(path)
    _halve_weights(model.graph)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def shipped(path: Path) -> Weights:
    """Those of an exported network, to train it further."""
    return {
        name.removeprefix("net.").removesuffix(_HALVED): weights.float()
        for name, weights in stored_weights(path).items()
    }


def _halve_weights(graph: onnx.GraphProto) -> None:
    """Store float16, cast when loaded: half the size. The work itself stays float32."""
    casts = []
    for weights in graph.initializer:
        if weights.data_type != TensorProto.FLOAT or not weights.dims:
            continue
        halved = numpy_helper.from_array(
            numpy_helper.to_array(weights).astype(np.float16), f"{weights.name}{_HALVED}"
        )
        casts.append(helper.make_node("Cast", [halved.name], [weights.name], to=TensorProto.FLOAT))
        weights.CopyFrom(halved)
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=Path("training-runs"), help="where the checkpoint is")
    parser.add_argument("--to", type=Path, default=SHIPPED)
    options = parser.parse_args()
    net = MaskNet()
    net.load_state_dict(averaged(options.folder / CHECKPOINT))
    path = options.to / f"{NAME}.onnx"
    export(net, path)
    print(
        f"{path.name}: {path.stat().st_size} bytes, looks {REACH} pixels far, sides are multiples of {STRIDE}"
    )


if __name__ == "__main__":
    main()
