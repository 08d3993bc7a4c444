"""Write a trained conditional network as ONNX, and prove that OpenVINO computes the same.

    python -m training.export_conditional upscale2

Inputs `image` (1, 3, H, W) in [0, 1] and `controls` (1, 2): noise in levels / 12, (100 - JPEG quality) / 100.
Output `restored` (1, 3, scale * H, scale * W), not clipped.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import openvino
import torch

from training.conditional import Conditional
from training.train_conditional import PLANS

MODELS = Path(__file__).parent.parent / "src" / "relume" / "builtin" / "models"
_TOLERANCE = 1e-3


def load(name: str, folder: Path) -> Conditional:
    """The averaged weights of the last checkpoint."""
    net = PLANS[name].net()
    state: dict[str, Any] = torch.load(folder / f"{name}.pt", map_location="cpu", weights_only=True)
    net.load_state_dict(state["average"])
    return net.eval()


def export(net: Conditional, path: Path) -> None:
    """Raises ValueError when OpenVINO computes something else inside the border."""
    image, controls = torch.rand(1, 3, 64, 80), torch.tensor([[0.4, 0.6]])
    sides = {2: "height", 3: "width"}
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", DeprecationWarning
        )  # of the exporter that needs nothing else installed
        torch.onnx.export(
            net.folded().eval(),
            (image, controls),
            str(path),
            input_names=["image", "controls"],
            output_names=["restored"],
            dynamic_axes={"image": sides, "restored": {2: "out_height", 3: "out_width"}},
            opset_version=17,
            dynamo=False,
        )
    compiled = openvino.Core().compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    given = compiled({"image": image.numpy(), "controls": controls.numpy()})[0]
    with torch.no_grad():
        wanted = net(image, controls).numpy()
    edge = 3 * net.scale  # The enlarged base is padded otherwise there.
    off = np.abs(given - wanted)[..., edge:-edge, edge:-edge].max()
    if off > _TOLERANCE:
        raise ValueError(f"OpenVINO differs from torch by {off:.5f}.")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", choices=sorted(PLANS))
    parser.add_argument(
        "--folder", type=Path, default=Path("training-runs"), help="where the checkpoints are"
    )
    parser.add_argument("--to", type=Path, default=MODELS)
    options = parser.parse_args()
    options.to.mkdir(parents=True, exist_ok=True)
    path = options.to / f"{options.name}.onnx"
    net = load(options.name, options.folder)
    export(net, path)
    print(f"{path.name}: {path.stat().st_size} bytes, looks {net.reach} pixels far")


if __name__ == "__main__":
    main()
