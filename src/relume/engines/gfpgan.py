"""GFPGAN of any width, as one image-to-image model.

spandrel knows the released width alone. Here the sizes are read from the weights. The model draws noise for
its fine texture at each run; the noise that is stored in the weights gives the same picture every time.

Wang, Li, Zhang, Shan: Towards real-world blind face restoration with generative facial prior, 2021 (the
"clean" variant, without custom CUDA operators).
"""

from __future__ import annotations

import math
import re
from typing import Any

from relume.engines.packages import architecture, torch

_BASE_WIDTH = 256
"""Channels of the innermost layers at width 1."""
_WIDTH_AT_64 = 128
_INDEX_OF_64 = 3


def is_gfpgan(state: dict[str, Any]) -> bool:
    return "toRGB.0.weight" in state and "stylegan_decoder.style_mlp.1.weight" in state


def build_gfpgan(state: dict[str, Any]) -> tuple[Any, int]:
    """The model with its weights, (1, 3, side, side) from 0 to 1 to the same, and that side in pixels.

    Raises RuntimeError where the weights are of another variant.
    """
    levels = len({key for key in state if re.fullmatch(r"toRGB\.\d+\.weight", key)})
    side = 2 ** (levels + 2)
    narrow = state["final_conv.weight"].shape[0] / _BASE_WIDTH
    multiplier = 2.0
    if levels > _INDEX_OF_64:
        multiplier = state[f"toRGB.{_INDEX_OF_64}.weight"].shape[1] / (_WIDTH_AT_64 * narrow)
    model = architecture("GFPGAN").GFPGAN(
        out_size=side,
        num_style_feat=state["stylegan_decoder.style_mlp.1.weight"].shape[0],
        channel_multiplier=math.ceil(multiplier),
        num_mlp=len({key for key in state if re.fullmatch(r"stylegan_decoder\.style_mlp\.\d+\.weight", key)}),
        input_is_latent=True,
        different_w=True,
        narrow=narrow,
        sft_half=True,
    )
    model.load_state_dict(state)
    return _as_image_model(model), side


def _as_image_model(model: Any) -> Any:
    nn = torch().nn

    class FaceModel(nn.Module):  # type: ignore[misc, name-defined] # torch is not imported at module level
        def __init__(self) -> None:
            super().__init__()
            self.inner = model

        def forward(self, image: Any) -> Any:
            made, _ = self.inner(image * 2 - 1, return_rgb=False, randomize_noise=False)
            return (made * 0.5 + 0.5).clamp(0, 1)

    return FaceModel().eval()
