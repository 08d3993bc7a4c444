"""How noisy and how compressed a photo is, as the networks want to be told.

A network that is told of noise that is not there smooths real texture (an upscaler told so of a clean photo
lost 1.6 dB); one that is not told of noise that is there only leaves some. So whatever is uncertain is taken
for clean.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from relume.builtin.blocks import Blocks
from relume.builtin.levels import Levels, to_levels, visible
from relume.builtin.net import CLEAN, IMAGE, Controls, Net
from relume.builtin.nets import Nets
from relume.builtin.noise import Noise
from relume.imaging.photo import Photo

ESTIMATOR = "degradation"

LEAST_SIGMA = 2.5  # weaker noise is no damage; the clean sample photos have 0.4 to 1.7
LEAST_CONFIDENCE = 0.4
LEAST_STEP = 0.4  # block steps; about JPEG quality 88
BEST_QUALITY = 88.0  # what is better shows no damage

_WORST_QUALITY = 30.0
_QUALITY_AT_STEP = ((0.0, 100.0), (0.4, 92.0), (0.9, 80.0), (2.5, 40.0), (3.3, 30.0))
"""Of those qualities that a step of blocks goes with, the best."""

_PATCH = 128
_MOST_PATCHES = 12


@dataclass(frozen=True, slots=True)
class Degradation:
    sigma: float
    """Of the noise, in levels."""
    quality: float
    """Of the JPEG compression; 100 where none is seen."""
    confidence: float

    @property
    def controls(self) -> Controls:
        """Exactly clean where no damage was seen for sure."""
        if self.confidence < LEAST_CONFIDENCE:
            return CLEAN
        is_noisy, is_compressed = self.sigma >= LEAST_SIGMA, self.quality <= BEST_QUALITY
        if not (is_noisy or is_compressed):
            return CLEAN
        return Controls(self.sigma, max(self.quality, _WORST_QUALITY))


def measure_degradation(photo: Photo, noise: Noise, blocks: Blocks, nets: Nets) -> Degradation:
    """By the network where it is here, else by the noise and the block steps that were measured."""
    net = nets.get(ESTIMATOR)
    estimated = None if net is None else _estimated(photo, net)
    return estimated or measured(noise, blocks)


def measured(noise: Noise, blocks: Blocks) -> Degradation:
    sigma = noise.sigma if noise.confidence >= LEAST_CONFIDENCE else 0.0
    steps, qualities = zip(*_QUALITY_AT_STEP, strict=True)
    quality = float(np.interp(blocks.step, steps, qualities)) if blocks.step >= LEAST_STEP else 100.0
    return Degradation(sigma, quality, max(noise.confidence, blocks.confidence))


def _estimated(photo: Photo, net: Net) -> Degradation | None:
    """None for photos smaller than a patch."""
    patches = _patches(photo)
    if not len(patches):
        return None
    values = net.infer({IMAGE: np.ascontiguousarray(patches.transpose(0, 3, 1, 2)) / np.float32(255)})[0]
    # The middle of the patches that look cleaner: a patch that is all texture passes for noise.
    sigma, compression = np.quantile(values[:, :2], 0.4, axis=0)
    return Degradation(max(float(sigma) * 12, 0.0), min(100 - float(compression) * 100, 100.0), 1.0)


def _patches(photo: Photo) -> Levels:
    """(patches, 128, 128, 3) levels, evenly spread, without those that have transparent parts."""
    opaque = visible(photo)
    found = []
    rows, columns = (_starts(side) for side in (photo.height, photo.width))
    for top in rows:
        for left in columns:
            window = np.s_[top : top + _PATCH, left : left + _PATCH]
            if opaque[window].all():
                levels = to_levels(photo.pixels[window])
                found.append(np.broadcast_to(levels, (_PATCH, _PATCH, 3)))
    if not found:
        return np.zeros((0, _PATCH, _PATCH, 3), np.float32)
    step = max(1, len(found) // _MOST_PATCHES)
    return np.stack(found[::step][:_MOST_PATCHES])


def _starts(side: int) -> list[int]:
    if side < _PATCH:
        return []
    count = min(side // _PATCH, 6)
    return (
        [int(start) for start in np.linspace(0, side - _PATCH, count)]
        if count > 1
        else [(side - _PATCH) // 2]
    )
