"""The damage finder: a small U-Net that works on pixels shuffled two by two."""

from __future__ import annotations

import torch
from torch import Tensor, nn

WIDTHS = (16, 32, 64, 96)  # multiples of 16 are fastest on CPUs, and most of the work is in the first
STRIDE = 2 * 2 ** (len(WIDTHS) - 1)
"""Sides must be multiples of this."""
REACH = 128
"""Input pixels: each pair of 3 x 3 convolutions adds 2 of its own level's, shrinking and growing the rest."""


class _Block(nn.Sequential):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(outputs, outputs, 3, padding=1),
            nn.ReLU(inplace=True),
        )


class MaskNet(nn.Module):
    """RGB, (images, 3, height, width) in [0, 1], to one logit a pixel, (images, 1, height, width).

    After Ronneberger, Fischer, Brox, "U-Net: Convolutional networks for biomedical image segmentation" (2015),
    with pixel unshuffling in front of it (Shi et al. 2016, the other way round), which makes it four times
    faster, and with no normalisation, so that a pixel's answer depends on its surroundings only.
    """

    def __init__(self) -> None:
        super().__init__()
        self.fold = nn.PixelUnshuffle(2)
        self.down = nn.ModuleList(
            _Block(inputs, outputs) for inputs, outputs in zip((12, *WIDTHS[:-1]), WIDTHS, strict=True)
        )
        self.shrink = nn.MaxPool2d(2)
        self.grow = nn.Upsample(scale_factor=2, mode="nearest")
        self.up = nn.ModuleList(
            _Block(deep + skip, skip) for deep, skip in zip(WIDTHS[:0:-1], WIDTHS[-2::-1], strict=True)
        )
        self.head = nn.Conv2d(WIDTHS[0], 4, 3, padding=1)
        self.unfold = nn.PixelShuffle(2)
        for part in self.modules():
            if isinstance(part, nn.Conv2d):  # torch's own start lets deep features die out
                nn.init.kaiming_normal_(part.weight, nonlinearity="relu")
                nn.init.zeros_(part.bias)
        nn.init.normal_(self.head.weight, std=0.01)
        nn.init.constant_(self.head.bias, -4.0)  # most of a photo is no damage

    def forward(self, image: Tensor) -> Tensor:
        features = self.fold(4 * image - 2)
        skips: list[Tensor] = []
        for depth, block in enumerate(self.down):
            features = block(features if depth == 0 else self.shrink(features))
            skips.append(features)
        for block, skip in zip(self.up, skips[-2::-1], strict=True):
            features = block(torch.cat([self.grow(features), skip], dim=1))
        logits: Tensor = self.unfold(self.head(features))
        return logits


class Probability(nn.Module):
    """What is exported: the probability instead of the logit."""

    def __init__(self, net: MaskNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, image: Tensor) -> Tensor:
        return torch.sigmoid(self.net(image))
