"""Measure the estimator beside the classical measures, on held-out photos with fresh seeds.

    python -m training.evaluate_estimator

The photos are taken at half their size, where what their own files did to them is gone. `truth` of the noise is
that before compression, which is what a network is to be told.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from relume.builtin.blocks import measure_blocks
from relume.builtin.blur import measure_blur
from relume.builtin.estimate import estimate
from relume.builtin.net import Net
from relume.builtin.nets import Nets
from relume.builtin.noise import measure_noise
from relume.imaging.photo import Photo
from training.degrade import Harm, blurred, draw_harm, spoil
from training.photos import held_out
from training.train_estimator import resized_half

# Qualities that block steps were measured to go with on the six photos.
_STEPS, _QUALITIES = (0.0, 0.4, 0.9, 2.5, 3.3), (100.0, 92.0, 80.0, 40.0, 30.0)
_NAMES = ("noise", "quality", "blur")


@dataclass(frozen=True)
class Reading:
    truth: NDArray[np.float64]
    """(3,): noise in levels, quality, blur in pixels; so are the others."""
    network: NDArray[np.float64]
    leaning: NDArray[np.float64]
    classical: NDArray[np.float64]


def read(image: NDArray[np.uint8], harm: Harm, net: Net) -> Reading:
    photo = Photo(image)
    found = estimate(photo, net)
    if found is None:
        raise ValueError("The photo is too small.")
    sure = found.leaning_to_clean()
    step = measure_blocks(photo).step
    return Reading(
        np.array([harm.noise, harm.quality, harm.blur]),
        np.array([found.sigma, found.quality, found.blur]),
        np.array([sure.sigma, sure.quality, sure.blur]),
        np.array(
            [
                measure_noise(photo).sigma,
                float(np.interp(step, _STEPS, _QUALITIES)),
                measure_blur(photo).sigma,
            ]
        ),
    )


def readings(net: Net, times: int, seed: int) -> tuple[list[Reading], list[Reading]]:
    """Of degraded photos, then of clean ones: whole, and two parts of each, so that there are some more."""
    spoilt, clean = [], []
    for name, photo in held_out().items():
        small = resized_half(photo)
        rng = np.random.default_rng([seed, len(name), 77])
        for _ in range(times):
            harm = draw_harm(rng, clean=0, noise=6, most_noise=25, worst_quality=20)
            spoilt.append(read(spoil(blurred(small, harm.blur), harm, rng), harm, net))
        height, width = small.shape[:2]
        parts = (
            small,
            small[: height // 2 + 40, : width // 2 + 40],
            small[height // 2 - 40 :, width // 2 - 40 :],
        )
        clean += [read(np.ascontiguousarray(part), Harm(), net) for part in parts]
    return spoilt, clean


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--times", type=int, default=10, help="degradations of each photo")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    net = Nets().get("degradation")
    if net is None:
        raise SystemExit("The network is not here.")
    spoilt, clean = readings(net, options.times, options.seed)
    for title, group in (("degraded", spoilt), ("clean", clean)):
        print(f"{title}, {len(group)} photos: mean absolute error (95th percentile)")
        for way in ("network", "leaning", "classical"):
            errors = np.abs(np.stack([getattr(reading, way) - reading.truth for reading in group]))
            told = (
                f"{name} {mean:6.2f} ({high:6.2f})"
                for name, mean, high in zip(
                    _NAMES, errors.mean(0), np.percentile(errors, 95, axis=0), strict=True
                )
            )
            print(f"  {way:10}", *told)


if __name__ == "__main__":
    main()
