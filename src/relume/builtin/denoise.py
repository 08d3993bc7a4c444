"""Remove noise, film grain and JPEG blocks, as far as they were measured."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from relume.builtin.levels import from_levels, to_levels
from relume.builtin.measure import Damage
from relume.builtin.shrinkage import REACH, shrink
from relume.imaging.photo import Photo, Pixels
from relume.imaging.tiles import map_tiles
from relume.ports import RunContext, StepReport

NAME = "denoise"

_TILE = 512
_LEAST_SIGMA = 2.5  # weaker noise is no damage; the clean sample photos have 0.4 to 1.7
_LEAST_BLOCK_STEP = 0.4  # about JPEG quality 88
_LEAST_CONFIDENCE = 0.4
_THRESHOLD_SIGMAS = 2.7
_SIGMA_PER_BLOCK_STEP = 4.5  # levels; the best threshold on five photos at JPEG quality 15 to 90
_LARGEST_BLOCK_SIGMA = 14.0

# Grain put back: a photo without any looks like wax. It costs 0.2 dB at sigma 10.
_GRAIN_KEPT = 0.15


def denoise(photo: Photo, damage: Damage, context: RunContext) -> tuple[Photo, StepReport]:
    """Shrink DCT coefficients below the measured noise and block errors. Raises JobCancelled."""
    noise, blocks = damage.noise, damage.blocks
    is_noisy = noise.sigma >= _LEAST_SIGMA and noise.confidence >= _LEAST_CONFIDENCE
    is_blocky = blocks.step >= _LEAST_BLOCK_STEP
    figures = f"noise {noise.sigma:.1f} of 255, JPEG block steps {blocks.step:.1f}"
    if not (is_noisy or is_blocky):
        detail = f"Too little to remove without loss of detail ({figures})."
        return photo, StepReport(NAME, False, detail, max(noise.confidence, blocks.confidence))

    thresholds = _thresholds(damage, is_noisy, is_blocky)

    def clean(tile: Pixels) -> Pixels:
        levels = to_levels(tile)
        smooth = shrink(levels, thresholds)
        return from_levels(smooth + np.float32(_GRAIN_KEPT) * (levels - smooth), tile.dtype)

    pixels = map_tiles(
        photo.pixels,
        clean,
        tile=_TILE,
        overlap=REACH,
        on_tile=lambda done, total: context.progress(done / total, NAME),
    )
    found = " and ".join(
        word for word, is_there in (("noise", is_noisy), ("JPEG blocks", is_blocky)) if is_there
    )
    confidence = max(noise.confidence if is_noisy else 0.0, blocks.confidence if is_blocky else 0.0)
    return photo.with_pixels(pixels), StepReport(NAME, True, f"Removed {found} ({figures}).", confidence)


def _thresholds(damage: Damage, is_noisy: bool, is_blocky: bool) -> NDArray[np.float32]:
    sigmas = damage.noise.spectrum if is_noisy else np.zeros_like(damage.noise.spectrum)
    if is_blocky:
        sigmas = np.maximum(sigmas, min(_SIGMA_PER_BLOCK_STEP * damage.blocks.step, _LARGEST_BLOCK_SIGMA))
    thresholds: NDArray[np.float32] = (_THRESHOLD_SIGMAS * sigmas).astype(np.float32)
    return thresholds
