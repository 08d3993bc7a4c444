"""The curve network: sees a thumbnail, gives three tone curves and a colour matrix for the whole photo.

One curve and one matrix for all pixels: whatever the network does, it can draw no halo and invent no spot.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

THUMBNAIL = 64
PERCENTILES = (0.5, 2, 10, 25, 50, 75, 90, 98, 99.5)
POINTS = 65
"""Of a curve, evenly from black to white."""
_KNOTS = 8
_LOG_SLOPES = (-2.5, 1.5)
"""At most 4.5 times as steep: beyond, it is the grain that would come forward."""


class CurveNet(nn.Module):
    """Thumbnails (N, 3, 64, 64) and percentiles of R, G, B and luma (N, 36), all in [0, 1], to:

    curves (N, 3, 65), rising; matrices (N, 3, 3) whose rows sum to 1; how sure it is that the photo has faded,
    (N,), 0 to 1.
    """

    def __init__(self) -> None:
        super().__init__()
        self.look = nn.Sequential(
            *_block(6, 16), *_block(16, 24), *_block(24, 32), *_block(32, 40), nn.Flatten()
        )
        self.pool = nn.Linear(2 * 40 + 4 * len(PERCENTILES), 96)
        self.think = nn.Linear(96, 64)
        self.answer = nn.Linear(64, 3 * _KNOTS + 3 + 6 + 1)
        nn.init.zeros_(self.answer.weight)
        nn.init.zeros_(self.answer.bias)
        at = torch.linspace(0, 1, POINTS - 1)[None]
        centres = torch.linspace(0, 1, _KNOTS)[:, None]
        bumps = torch.exp(-0.5 * ((at - centres) * (_KNOTS - 1) / 0.8) ** 2)
        self.register_buffer("bumps", bumps / bumps.sum(dim=0, keepdim=True), persistent=False)

    def forward(self, thumbnail: Tensor, percentiles: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        low, high = percentiles[:, 0:3, None, None], percentiles[:, 24:27, None, None]
        stretched = (thumbnail - low) / (high - low + 0.05)
        seen = self.look[:-1](torch.cat([thumbnail, stretched], dim=1) * 2 - 1)
        pooled = torch.cat([seen.mean(dim=(2, 3)), seen.amax(dim=(2, 3)), percentiles * 2 - 1], dim=1)
        answer = self.answer(F.silu(self.think(F.silu(self.pool(pooled)))))
        knots, offsets, mixing, sure = answer.split((3 * _KNOTS, 3, 6, 1), dim=1)
        return self._curves(knots, offsets), _matrices(mixing), torch.sigmoid(sure[:, 0])

    def _curves(self, knots: Tensor, offsets: Tensor) -> Tensor:
        slopes = torch.exp((knots.reshape(-1, 3, _KNOTS) @ self.bumps).clamp(*_LOG_SLOPES)) / (POINTS - 1)
        rises = torch.cumsum(slopes, dim=2)
        start = offsets.reshape(-1, 3, 1)
        return torch.cat([start, start + rises], dim=2)


def apply(images: Tensor, curves: Tensor, matrices: Tensor) -> Tensor:
    """(N, 3, H, W) through its curve and matrix; not clipped."""
    place = images.flatten(2) * (POINTS - 1)
    below = place.floor().clamp(0, POINTS - 2)
    left = curves.gather(2, below.long())
    right = curves.gather(2, below.long() + 1)
    toned = left + (place - below) * (right - left)
    return (matrices @ toned).reshape(images.shape)


def percentiles(images: Tensor) -> Tensor:
    """(N, 3, H, W) to (N, 36): by percentile, of red, green, blue and luma."""
    luma = (images * torch.tensor([0.299, 0.587, 0.114]).reshape(1, 3, 1, 1)).sum(dim=1, keepdim=True)
    values = torch.cat([images, luma], dim=1).flatten(2)
    ordered = values.sort(dim=2).values
    at = torch.tensor(PERCENTILES) / 100 * (values.shape[2] - 1)
    points = ordered[:, :, at.round().long()]
    # By percentile first, colours beside each other: the first and the last rows are black and white points.
    return torch.cat([points[:, :3].transpose(1, 2).flatten(1), points[:, 3]], dim=1)


def _matrices(mixing: Tensor) -> Tensor:
    rows = mixing.reshape(-1, 3, 2)
    own = 1 - rows.sum(dim=2)
    first = torch.stack([own[:, 0], rows[:, 0, 0], rows[:, 0, 1]], dim=1)
    second = torch.stack([rows[:, 1, 0], own[:, 1], rows[:, 1, 1]], dim=1)
    third = torch.stack([rows[:, 2, 0], rows[:, 2, 1], own[:, 2]], dim=1)
    return torch.stack([first, second, third], dim=1)


def _block(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(inputs, outputs, 3, stride=2, padding=1), nn.SiLU()
