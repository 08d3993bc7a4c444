from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from relume.builtin.noise import measure_noise
from relume.imaging.photo import Photo

AddNoise = Callable[[Photo, float], Photo]
Sample = Callable[[str], NDArray[np.uint8]]


def test_clean_photos_have_little(clean: Photo) -> None:
    assert measure_noise(clean).sigma < 2


@pytest.mark.parametrize("sigma", [5, 10, 20])
def test_reads_white_noise_within_a_tenth(clean: Photo, add_noise: AddNoise, sigma: float) -> None:
    assert measure_noise(add_noise(clean, sigma)).sigma == pytest.approx(sigma, rel=0.1)


def test_reads_the_same_at_16_bits(chelsea: Photo, add_noise: AddNoise) -> None:
    deep = Photo(chelsea.pixels.astype(np.uint16) * 257)
    assert measure_noise(add_noise(deep, 10)).sigma == pytest.approx(10, rel=0.1)


def test_reads_greyscale(sample: Sample) -> None:
    grey = sample("camera")[..., None].astype(float) * 0.8 + 20
    noisy = grey + np.random.default_rng(0).normal(0, 8, grey.shape)
    assert measure_noise(Photo(noisy.clip(0, 255).astype(np.uint8))).sigma == pytest.approx(8, rel=0.15)


def test_transparent_parts_do_not_count(chelsea: Photo, add_noise: AddNoise) -> None:
    pixels = chelsea.pixels.copy()
    pixels[:, :225] = add_noise(chelsea, 30).pixels[:, :225]
    alpha = np.full(pixels.shape[:2], 255, np.uint8)
    alpha[:, :225] = 0
    assert measure_noise(Photo(pixels, alpha)).sigma < 2


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 4096, 3), (8, 8, 1), (40, 40, 3)])
def test_too_little_to_measure_is_no_noise_and_no_confidence(shape: tuple[int, ...]) -> None:
    noise = measure_noise(Photo(np.zeros(shape, np.uint8)))
    assert (noise.sigma, noise.confidence) == (0, 0)
