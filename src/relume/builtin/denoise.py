"""Remove noise, film grain and JPEG blocks, as far as they were measured.

By a network that is told how much there is, or, where it is not at hand, by shrinking DCT coefficients.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from relume.builtin.degradation import LEAST_CONFIDENCE, LEAST_SIGMA, LEAST_STEP, Degradation
from relume.builtin.inference import through
from relume.builtin.levels import Levels, from_levels, to_levels
from relume.builtin.measure import Damage
from relume.builtin.net import Controls, Net
from relume.builtin.nets import NO_NETS, Nets
from relume.builtin.shrinkage import REACH, shrink
from relume.imaging.photo import Photo, Pixels
from relume.imaging.tiles import map_tiles
from relume.ports import RunContext, StepReport

NAME = "denoise"
NET = "clean"

_TILE = 512
_THRESHOLD_SIGMAS = 2.7
_SIGMA_PER_BLOCK_STEP = 4.5  # levels; the best threshold on five photos at JPEG quality 15 to 90
_LARGEST_BLOCK_SIGMA = 14.0

# Grain put back: a photo without any looks like wax. It costs 0.2 dB at sigma 10.
_GRAIN_KEPT = 0.15


def denoise(
    photo: Photo, damage: Damage, context: RunContext, nets: Nets = NO_NETS
) -> tuple[Photo, StepReport]:
    """Remove what was measured, and leave a little grain. Raises JobCancelled."""
    net = nets.pick(NET, photo.width * photo.height / 1e6)
    if net is None:
        return _by_shrinkage(photo, damage, context, nets.excuse(NET))
    return denoise_by_net(photo, damage.degradation, net, context)


def denoise_by_net(
    photo: Photo, found: Degradation, net: Net, context: RunContext
) -> tuple[Photo, StepReport]:
    """The same, of what is sure to be there. Raises JobCancelled."""
    figures = f"noise {found.sigma:.1f} of 255, JPEG quality {found.quality:.0f}"
    if not (found.is_noisy or found.is_compressed):
        return photo, StepReport(NAME, False, _too_little(figures), found.confidence)
    pixels = _by_net(photo, net, found.controls, context)
    what = _words(found.is_noisy, found.is_compressed)
    detail = f"Removed {what} by the network {net.title} ({figures})."
    return photo.with_pixels(pixels), StepReport(NAME, True, detail, found.confidence)


def _by_shrinkage(photo: Photo, damage: Damage, context: RunContext, excuse: str) -> tuple[Photo, StepReport]:
    noise, blocks = damage.noise, damage.blocks
    is_noisy = noise.sigma >= LEAST_SIGMA and noise.confidence >= LEAST_CONFIDENCE
    is_blocky = blocks.step >= LEAST_STEP
    figures = f"noise {noise.sigma:.1f} of 255, JPEG block steps {blocks.step:.1f}"
    if not (is_noisy or is_blocky):
        return photo, StepReport(NAME, False, _too_little(figures), max(noise.confidence, blocks.confidence))
    pixels = _shrunk(photo, _thresholds(damage, is_noisy, is_blocky), context)
    confidence = max(noise.confidence if is_noisy else 0.0, blocks.confidence if is_blocky else 0.0)
    detail = f"Removed {_words(is_noisy, is_blocky)} ({figures}).{excuse}"
    return photo.with_pixels(pixels), StepReport(NAME, True, detail, confidence)


def _too_little(figures: str) -> str:
    return f"Too little to remove without loss of detail ({figures})."


def _words(is_noisy: bool, is_blocky: bool) -> str:
    return " and ".join(
        word for word, is_there in (("noise", is_noisy), ("JPEG blocks", is_blocky)) if is_there
    )


def _by_net(photo: Photo, net: Net, controls: Controls, context: RunContext) -> Pixels:
    return through(
        photo,
        _with_grain(lambda tile: net.levels(tile, controls)),
        context,
        NAME,
        overlap=net.card.reach,
        tile=_TILE,
        multiple_of=net.card.multiple_of,
    )


def _shrunk(photo: Photo, thresholds: NDArray[np.float32], context: RunContext) -> Pixels:
    clean = _with_grain(lambda tile: shrink(to_levels(tile), thresholds))
    return map_tiles(
        photo.pixels,
        lambda tile: from_levels(clean(tile), tile.dtype),
        tile=_TILE,
        overlap=REACH,
        on_tile=lambda done, total: context.progress(done / total, NAME),
    )


def _with_grain(clean: Callable[[Pixels], Levels]) -> Callable[[Pixels], Levels]:
    def work(tile: Pixels) -> Levels:
        smooth = clean(tile)
        return smooth + np.float32(_GRAIN_KEPT) * (to_levels(tile) - smooth)

    return work


def _thresholds(damage: Damage, is_noisy: bool, is_blocky: bool) -> NDArray[np.float32]:
    sigmas = damage.noise.spectrum if is_noisy else np.zeros_like(damage.noise.spectrum)
    if is_blocky:
        sigmas = np.maximum(sigmas, min(_SIGMA_PER_BLOCK_STEP * damage.blocks.step, _LARGEST_BLOCK_SIGMA))
    thresholds: NDArray[np.float32] = (_THRESHOLD_SIGMAS * sigmas).astype(np.float32)
    return thresholds
