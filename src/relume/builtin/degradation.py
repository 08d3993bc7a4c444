"""How noisy and how compressed a photo is, as the networks want to be told.

A network that is told of noise that is not there smooths real texture (an upscaler told so of a clean photo
lost 1.6 dB); one that is not told of noise that is there only leaves some. So whatever is uncertain is taken
for clean.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from relume.builtin.blocks import Blocks
from relume.builtin.estimate import Estimate, estimate
from relume.builtin.net import CLEAN, Controls
from relume.builtin.nets import Nets
from relume.builtin.noise import Noise
from relume.imaging.photo import Photo

ESTIMATOR = "degradation"

LEAST_SIGMA = 2.5  # weaker noise is no damage; the clean sample photos have 0.4 to 1.7
LEAST_CONFIDENCE = 0.4
LEAST_STEP = 0.4  # block steps; about JPEG quality 88
BEST_QUALITY = 88.0  # what is better shows no damage

_CREDIBLE_SIGMA = 0.9  # for sure; ten clean photos had 0.3 at most
_WORST_QUALITY = 25.0  # the networks have seen no worse
_QUALITY_AT_STEP = ((0.0, 100.0), (0.4, 88.0), (0.9, 80.0), (2.5, 40.0), (3.3, 30.0))
"""Of those qualities that a step of blocks goes with, the best."""


@dataclass(frozen=True, slots=True)
class Degradation:
    """What is sure of the damage: where there may be less, there is less."""

    sigma: float = 0.0
    """Of the noise of a channel, in levels."""
    quality: float = 100.0
    """Of the JPEG compression; 100 where none is seen."""
    confidence: float = 1.0

    @property
    def is_noisy(self) -> bool:
        return self.sigma >= LEAST_SIGMA

    @property
    def is_compressed(self) -> bool:
        return self.quality <= BEST_QUALITY

    @property
    def controls(self) -> Controls:
        """Exactly clean where there is too little to be removed."""
        if not (self.is_noisy or self.is_compressed):
            return CLEAN
        return Controls(self.sigma, max(self.quality, _WORST_QUALITY))


def measure_degradation(photo: Photo, noise: Noise, blocks: Blocks, nets: Nets) -> Degradation:
    """By the network where it is here, else by the noise and the block steps that were measured."""
    net = nets.get(ESTIMATOR)
    found = None if net is None else estimate(photo, net)
    if found is None:
        return measured(noise, blocks)
    return combined(found, noise)


def combined(found: Estimate, noise: Noise) -> Degradation:
    """The estimate leaning to clean, and where the photo was not compressed, the measured noise within it.

    Without compression, the measured noise is exact but for photos that are all texture, which it takes for
    noise; the estimate tells those apart, and reads low where noise lies on texture.
    """
    sure = found.leaning_to_clean()
    sigma = sure.sigma
    if sure.quality > BEST_QUALITY and sigma >= _CREDIBLE_SIGMA and noise.confidence >= LEAST_CONFIDENCE:
        sigma = max(sigma, min(noise.sigma, found.sigma + 3 * found.sigma_error))
    return Degradation(sigma, sure.quality)


def measured(noise: Noise, blocks: Blocks) -> Degradation:
    """What the classical measures are sure of."""
    sigma = noise.sigma if noise.confidence >= LEAST_CONFIDENCE else 0.0
    steps, qualities = zip(*_QUALITY_AT_STEP, strict=True)
    quality = float(np.interp(blocks.step, steps, qualities)) if blocks.step >= LEAST_STEP else 100.0
    confidence = max(noise.confidence, blocks.confidence)
    return Degradation(sigma, quality, confidence)
