"""The curve network: sees a thumbnail, gives three tone curves and a colour matrix for the whole photo.

One curve and one matrix for all pixels: whatever the network does, it can draw no halo and invent no spot.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

THUMBNAIL = 64
SEEN = 490
PERCENTILES = (0.5, 2, 10, 25, 50, 75, 90, 98, 99.5)
POINTS = 65
"""Of a curve, evenly from black to white."""
_KNOTS = 8
_LOG_SLOPES = (-2.5, 1.5)
"""At most 4.5 times as steep: beyond, it is the grain that would come forward."""


class Look(nn.Module):
    """What the network knows of a photo, without a parameter: thumbnails (N, 3, 64, 64) and percentiles of R, G, B
    and luma (N, 36), all in [0, 1], to (N, 490).

    The percentiles; the colours of an 8 x 8 mosaic, as they are and stretched to black and white; how many pixels
    have which colour; how the channels go together.
    """

    def forward(self, thumbnail: Tensor, points: Tensor) -> Tensor:
        low, high = points[:, 0:3, None, None], points[:, 24:27, None, None]
        stretched = (thumbnail - low) / (high - low + 0.05)
        mosaics = [
            functional.avg_pool2d(image, THUMBNAIL // 8).flatten(1) for image in (thumbnail, stretched)
        ]
        few = stretched[:, :, ::2, ::2].flatten(2)
        centred = few - few.mean(dim=2, keepdim=True)
        together = (centred @ centred.transpose(1, 2) / few.shape[2]).flatten(1)[:, [0, 1, 2, 4, 5, 8]]
        return torch.cat([points, *mosaics, 4 * _colour_counts(few), 4 * together], dim=1)


def _colour_counts(colours: Tensor) -> Tensor:
    """(N, 3, pixels) to (N, 64): shares of 4 x 4 x 4 colours, each pixel counted by its distance from them."""
    centres = torch.tensor([0.0, 1 / 3, 2 / 3, 1.0]).reshape(1, 1, 4, 1)
    near = (1 - 3 * (colours.clamp(0, 1)[:, :, None] - centres).abs()).clamp_min(0)
    two = (near[:, 0, :, None] * near[:, 1, None]).flatten(1, 2)
    counts = two @ near[:, 2].transpose(1, 2) / colours.shape[2]
    return counts.flatten(1).clamp_min(1e-6).sqrt()


class CurveNet(nn.Module):
    """What was seen (N, 490) to curves (N, 3, 65), rising; matrices (N, 3, 3) whose rows sum to 1; and how sure it
    is that the photo has faded, (N,), 0 to 1.
    """

    def __init__(self) -> None:
        super().__init__()
        self.usual = nn.BatchNorm1d(SEEN, affine=False)
        self.first = nn.Linear(SEEN, 72)
        self.second = nn.Linear(72, 64)
        self.answer = nn.Linear(64, 3 * _KNOTS + 3 + 6 + 1)
        self.drop = nn.Dropout(0.1)
        nn.init.zeros_(self.answer.weight)
        nn.init.zeros_(self.answer.bias)
        at = torch.linspace(0, 1, POINTS - 1)[None]
        centres = torch.linspace(0, 1, _KNOTS)[:, None]
        bumps = torch.exp(-0.5 * ((at - centres) * (_KNOTS - 1) / 0.8) ** 2)
        self.register_buffer("bumps", bumps / bumps.sum(dim=0, keepdim=True), persistent=False)

    def forward(self, seen: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = functional.silu(self.first(self.drop(self.usual(seen).clamp(-4, 4))))
        answer = self.answer(functional.silu(self.second(self.drop(x))))
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


class Whole(nn.Module):
    """As it is exported: thumbnail and percentiles to curves, matrix and certainty."""

    def __init__(self, net: CurveNet) -> None:
        super().__init__()
        self.look, self.net = Look(), net

    def forward(self, thumbnail: Tensor, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        curves, matrices, sure = self.net(self.look(thumbnail, points))
        return curves, matrices, sure
