"""Measure the colour step on faded photos, by a fading that its network was not trained with.

    python -m training.evaluate_colour

Held-out photos only. The fading works in linear light: dyes that stain each other (a 3x3 matrix), a toe that
lifts each channel's black on its own, a shoulder and a contrast of its own, and light that was not white.
Training's fading works in density, with other parameters: what is measured here is not what was practised.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from types import SimpleNamespace
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.color import deltaE_ciede2000, rgb2lab

from relume.builtin.colour import balance
from relume.builtin.measure import Damage
from relume.builtin.nets import NO_NETS, Nets
from relume.builtin.tone import measure_tone
from relume.imaging.photo import Photo
from relume.ports import RunContext
from training.photos import held_out

Image = NDArray[np.uint8]
Plane = NDArray[np.float64]
Restore = Callable[[Image], Image]

_FADINGS = 16
_LARGEST_SIDE = 160  # of the photos measured: fading and curves do not look at neighbours


def faded(image: Image, rng: np.random.Generator) -> Image:
    """(height, width, 3), sRGB: by a strength that varies from hardly to badly."""
    strength = rng.uniform(0.25, 1.0)
    light = _to_linear(image)
    light = light @ _staining(strength, rng).T
    light = np.clip(light * (1 + strength * rng.uniform(-0.22, 0.22, 3)), 0, 1)
    toe = strength**1.5 * rng.uniform(0.005, 0.12) * np.exp(rng.normal(0, 0.45, 3))
    shoulder = 1 - strength * rng.uniform(0.0, 0.4) * np.exp(rng.normal(0, 0.3, 3))
    contrast = np.exp(strength * (rng.normal(0, 0.12) + rng.normal(0, 0.1, 3)))
    return _to_srgb(toe + (np.maximum(shoulder, 0.35) - toe) * light**contrast)


def delta_e(first: Image, second: Image) -> float:
    """Mean CIEDE2000."""
    return float(np.mean(deltaE_ciede2000(rgb2lab(first), rgb2lab(second))))


def psnr(first: Image, second: Image) -> float:
    """In decibels; infinite for the same image."""
    error = np.mean((first.astype(np.float64) - second) ** 2)
    return float("inf") if error == 0 else float(10 * np.log10(255**2 / error))


def _staining(strength: float, rng: np.random.Generator) -> Plane:
    """Rows sum to 1: what is grey stays grey, colours grow paler and lean towards each other."""
    matrix = np.abs(rng.normal(0, 0.16 * strength, (3, 3)))
    np.fill_diagonal(matrix, 0)
    np.fill_diagonal(matrix, 1 - matrix.sum(axis=1))
    return matrix


def _to_linear(image: Image) -> Plane:
    levels = image / 255
    return np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)


def _to_srgb(light: Plane) -> Image:
    levels = np.where(light <= 0.0031308, light * 12.92, 1.055 * np.maximum(light, 1e-9) ** (1 / 2.4) - 0.055)
    return np.rint(np.clip(levels, 0, 1) * 255).astype(np.uint8)


def measure(name: str, restore: Restore, fadings: int, first_seed: int) -> None:
    """Print a table: CIEDE2000 before and after by photo, how often it was made worse, what untouched photos lose."""
    cases = {photo: shrunk(image) for photo, image in held_out().items()}
    print(f"{name}: CIEDE2000 of the faded photo, of the restored one, share made worse (by more than 0.5)")
    every: list[tuple[float, float]] = []
    for photo, truth in cases.items():
        pairs = []
        for seed in range(first_seed, first_seed + fadings):
            old = faded(truth, np.random.default_rng([seed, len(photo)]))
            pairs.append((delta_e(old, truth), delta_e(restore(old), truth)))
        every += pairs
        print(f"  {photo:13}" + _row(pairs) + f"  untouched {psnr(truth, restore(truth)):.1f} dB")
    print(f"  {'all':13}" + _row(every))


def shrunk(image: Image) -> Image:
    """By area, to at most 160 pixels."""
    factor = max(1, *(-(-side // _LARGEST_SIDE) for side in image.shape[:2]))
    size = image.shape[1] // factor, image.shape[0] // factor
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def _row(pairs: list[tuple[float, float]]) -> str:
    before, after = np.array(pairs).T
    worse = after > before
    clearly = after > before + 0.5
    return f" {before.mean():6.2f} {after.mean():6.2f} {100 * worse.mean():5.1f} % ({100 * clearly.mean():.1f} %)"


def by_step(nets: Nets) -> Restore:
    """As Relume does it."""

    def restore(image: Image) -> Image:
        photo = Photo(image)
        # The step looks at nothing else of what is measured, and the rest takes far longer.
        damage = SimpleNamespace(
            tone=measure_tone(photo), scratches=SimpleNamespace(mask=np.zeros(image.shape[:2], bool))
        )
        return np.asarray(balance(photo, cast("Damage", damage), RunContext(), nets)[0].pixels, np.uint8)

    return restore


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--fadings", type=int, default=_FADINGS, help="of each photo")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    measure("classical", by_step(NO_NETS), options.fadings, options.seed)
    measure("network", by_step(Nets()), options.fadings, options.seed)


if __name__ == "__main__":
    main()
