"""Small models with the architecture of the real ones and fixed random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from relume.engines.models import identify
from relume.engines.packages import architecture, missing_packages
from relume.engines.weights import Weights, WeightsFolder
from tests.peers import missing


def need_packages() -> None:
    """Skip, or fail, where the `local` extra is not installed."""
    if absent := missing_packages():
        missing(f"the `local` extra ({', '.join(absent)})")
    import torch

    torch.set_num_threads(1)  # Its threads wait by spinning, which on a busy machine takes ten times as long.


def compact(scale: int = 4, features: int = 8, convolutions: int = 2) -> Any:
    """SRVGGNetCompact, as realesr-general-x4v3."""
    make = architecture("Compact").Compact
    return _seeded(lambda: make(num_feat=features, num_conv=convolutions, upscale=scale))


def rrdb(scale: int = 4) -> Any:
    """RRDBNet, as RealESRGAN_x4plus; for 2 times with shuffled pixels, as RealESRGAN_x2plus."""
    make = architecture("ESRGAN").ESRGAN
    if scale == 2:
        return _seeded(lambda: make(in_nc=12, num_filters=8, num_blocks=1, scale=4, shuffle_factor=2))
    return _seeded(lambda: make(num_filters=8, num_blocks=1, scale=scale))


def gfpgan(side: int = 64) -> Any:
    """GFPGAN (clean), a sixteenth as wide and for smaller faces."""
    make = architecture("GFPGAN").GFPGAN
    return _seeded(lambda: make(out_size=side, narrow=0.0625, num_style_feat=16, num_mlp=2))


def _seeded(make: Any) -> Any:
    import torch

    torch.manual_seed(7)
    return make().eval()


def put(model: Any, folder: Path, name: str = "net.pth") -> Weights:
    """The model's weights in a file of the folder, found again as users' files are."""
    import torch

    folder.mkdir(parents=True, exist_ok=True)
    torch.save({"params_ema": model.state_dict()}, folder / name)
    found = WeightsFolder(folder, folder / "index.json", identify).scan()
    return next(weights for weights in found if weights.path.name == name)
