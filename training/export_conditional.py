"""Write a trained conditional network as ONNX, and prove that OpenVINO computes the same.

    python -m training.export_conditional upscale2

Inputs `image` (1, 3, H, W) in [0, 1] and `controls` (1, 2): noise in levels / 12, (100 - JPEG quality) / 100.
Output `restored` (1, 3, scale * H, scale * W), not clipped.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import openvino
import torch

from training.checkpoint import averaged
from training.conditional import Conditional
from training.onnx_file import write
from training.train_conditional import PLANS

MODELS = Path(__file__).parent.parent / "src" / "relume" / "builtin" / "models"
_TOLERANCE = 1e-3


def load(name: str, folder: Path) -> Conditional:
    """The averaged weights of the last checkpoint."""
    net = PLANS[name].net()
    net.load_state_dict(averaged(folder / f"{name}.pt"))
    return net.eval()


def export(net: Conditional, path: Path) -> None:
    """Raises ValueError when OpenVINO computes something else inside the border."""
    image, controls = torch.rand(1, 3, 64, 80), torch.tensor([[0.4, 0.6]])
    write(
        net.folded(),
        (image, controls),
        path,
        inputs=("image", "controls"),
        outputs=("restored",),
        any_length={"image": {2: "height", 3: "width"}, "restored": {2: "out_height", 3: "out_width"}},
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
    path = options.to / f"{options.name}.onnx"
    net = load(options.name, options.folder)
    export(net, path)
    print(f"{path.name}: {path.stat().st_size} bytes, looks {net.reach} pixels far")


if __name__ == "__main__":
    main()
