"""Photos to damage on purpose: scikit-image's own, which come with the package."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from skimage import data

from relume.imaging.photo import Photo

Sample = Callable[[str], NDArray[np.uint8]]


@pytest.fixture(scope="session")
def sample() -> Sample:
    """By name: astronaut, chelsea, camera and so on."""
    return lambda name: np.asarray(getattr(data, name)(), np.uint8)


@pytest.fixture(params=["astronaut", "chelsea", "coffee"])
def clean(request: pytest.FixtureRequest, sample: Sample) -> Photo:
    return Photo(sample(request.param))


@pytest.fixture
def chelsea(sample: Sample) -> Photo:
    return Photo(sample("chelsea"))


@pytest.fixture
def sepia(sample: Sample) -> Photo:
    """A toned photo with a black and a white: chelsea's luma through a brown tone curve."""
    grey = sample("chelsea").mean(axis=2, keepdims=True) - 15
    grey = np.clip(grey / 170, 0, 1)
    brown = np.concatenate([grey**0.7, grey, grey**1.6], axis=2)
    return Photo(np.rint(brown * 245).astype(np.uint8))


@pytest.fixture
def psnr() -> Callable[[Photo, Photo], float]:
    def measure(photo: Photo, truth: Photo) -> float:
        error = np.mean((photo.pixels.astype(float) - truth.pixels) ** 2)
        return float(10 * np.log10(truth.white**2 / error))

    return measure


@pytest.fixture
def add_noise() -> Callable[[Photo, float], Photo]:
    def add(photo: Photo, sigma: float) -> Photo:
        """White noise; `sigma` is on the 0-255 scale whatever the bit depth."""
        noise = np.random.default_rng(0).normal(0, sigma * photo.white / 255, photo.pixels.shape)
        levels = np.clip(np.rint(photo.pixels + noise), 0, photo.white)
        is_deep = photo.pixels.dtype == np.uint16
        return photo.with_pixels(levels.astype(np.uint16) if is_deep else levels.astype(np.uint8))

    return add
