"""The conditional network: plain convolutions that are told how noisy and how compressed the photo is.

`head` 3x3 to C channels, then n times ReLU(3x3 convolution + identity + what the controls add), `tail` 3x3, and
pixel shuffle where it enlarges. What it computes is added to the photo (enlarged by bicubic interpolation).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Conditional(nn.Module):
    """(N, 3, H, W) in [0, 1] and controls (N, 2) to (N, 3, scale * H, scale * W)."""

    def __init__(self, width: int, depth: int, scale: int, telling: float = 1.0) -> None:
        """`telling` times the controls: with more, what is told weighs more from the beginning."""
        super().__init__()
        self.scale, self.telling = scale, telling
        self.head = nn.Conv2d(3, width, 3, padding=1)
        self.body = nn.ModuleList([nn.Conv2d(width, width, 3, padding=1) for _ in range(depth)])
        self.told = nn.Linear(2, width * (depth + 1))
        self.tail = nn.Conv2d(width, 3 * scale * scale, 3, padding=1)
        self.base = nn.Conv2d(1, scale * scale, 5, padding=2, bias=False) if scale > 1 else None
        self._start()

    def _start(self) -> None:
        for layer in self.body:
            nn.init.kaiming_normal_(layer.weight)
            layer.weight.data *= 0.5
            nn.init.zeros_(layer.bias)
        nn.init.normal_(self.tail.weight, std=0.002)
        nn.init.zeros_(self.tail.bias)
        nn.init.normal_(self.told.weight, std=0.05)
        nn.init.zeros_(self.told.bias)
        if self.base is not None:
            self.base.weight.data.copy_(bicubic_kernels(self.scale))

    def forward(self, image: Tensor, controls: Tensor) -> Tensor:
        told = self.told(controls * self.telling)[:, :, None, None].chunk(len(self.body) + 1, dim=1)
        x = F.relu(self.head(image) + told[0])
        for layer, bias in zip(self.body, told[1:], strict=True):
            x = F.relu(layer(x) + x + bias)
        change = self.tail(x).float()  # The sum in full precision: a step of bfloat16 is half a level.
        if self.base is None:
            return image + change
        count, channels, height, width = image.shape
        padded = F.pad(image, (2, 2, 2, 2), "replicate").reshape(-1, 1, height + 4, width + 4)
        with torch.autocast(image.device.type, enabled=False):
            plain = self.base(padded)
        plain = plain[:, :, 2:-2, 2:-2].reshape(count, channels * self.scale**2, height, width)
        return F.pixel_shuffle(plain + change, self.scale)

    @property
    def reach(self) -> int:
        """How far an output pixel looks, in input pixels."""
        return len(self.body) + 2

    def folded(self) -> Conditional:
        """The same function with the identities inside the convolutions: `forward` without `+ x`."""
        twin = Folded(self.head.out_channels, len(self.body), self.scale, self.telling)
        twin.load_state_dict(self.state_dict())
        with torch.no_grad():
            for layer in twin.body:
                for channel in range(layer.out_channels):
                    layer.weight[channel, channel, 1, 1] += 1
        return twin


class Folded(Conditional):
    """A trained network as it is exported."""

    def forward(self, image: Tensor, controls: Tensor) -> Tensor:
        told = self.told(controls * self.telling)[:, :, None, None].chunk(len(self.body) + 1, dim=1)
        x = F.relu(self.head(image) + told[0])
        for layer, bias in zip(self.body, told[1:], strict=True):
            x = F.relu(layer(x) + bias)
        change = self.tail(x)
        if self.base is None:
            return image + change
        plain = torch.cat([self.base(image[:, i : i + 1]) for i in range(3)], dim=1)
        return F.pixel_shuffle(plain + change, self.scale)


def bicubic_kernels(scale: int) -> Tensor:
    """(scale², 1, 5, 5): one kernel for each place in the enlarged pixel."""
    if scale != 2:
        raise ValueError("Only twice is written down here.")
    # Keys' cubic with a = -0.75, a quarter of a pixel before and after the middle.
    before = torch.tensor([-0.03515625, 0.26171875, 0.87890625, -0.10546875, 0.0])
    lines = (before, before.flip(0))
    return torch.stack([torch.outer(down, across)[None] for down in lines for across in lines])
