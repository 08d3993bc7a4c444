"""In which precision a training runs fastest where it runs."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch

from relume.engines.openvino import has_bf16


def mixed(device: torch.device) -> AbstractContextManager[object]:
    """bfloat16 where the device computes in it: elsewhere torch imitates it, ten times slower than float32."""
    if device.type != "cpu" or has_bf16():
        return torch.autocast(device.type, torch.bfloat16)
    return nullcontext()
