from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest

from relume.builtin.estimate import Estimate, estimate
from relume.builtin.net import Net
from relume.builtin.nets import Nets
from relume.imaging.photo import Photo

AddNoise = Callable[[Photo, float], Photo]


@pytest.fixture(scope="module")
def net() -> Net:
    pytest.importorskip("openvino")
    loaded = Nets().get("degradation")
    assert loaded is not None
    return loaded


def as_jpeg(photo: Photo, quality: int) -> Photo:
    _, file = cv2.imencode(".jpg", photo.pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return Photo(np.asarray(cv2.imdecode(file, cv2.IMREAD_COLOR), np.uint8))


def seen(photo: Photo, net: Net) -> Estimate:
    found = estimate(photo, net)
    assert found is not None
    return found


def test_clean_photos_are_called_clean(clean: Photo, net: Net) -> None:
    sure = seen(clean, net).leaning_to_clean()
    assert sure.sigma < 2.5
    assert sure.quality > 88


@pytest.mark.parametrize("sigma", [6, 15])
def test_reads_noise(clean: Photo, add_noise: AddNoise, net: Net, sigma: float) -> None:
    assert seen(add_noise(clean, sigma), net).sigma == pytest.approx(sigma, rel=0.3)


def test_reads_noise_that_was_compressed(clean: Photo, add_noise: AddNoise, net: Net) -> None:
    assert seen(as_jpeg(add_noise(clean, 10), 60), net).sigma == pytest.approx(10, abs=5)


def test_reads_how_strongly_a_photo_was_compressed(clean: Photo, net: Net) -> None:
    qualities = [seen(as_jpeg(clean, quality), net).quality for quality in (85, 55, 25)]
    assert qualities == pytest.approx([85, 55, 25], abs=16)


def test_finds_the_grid_after_a_crop(clean: Photo, net: Net) -> None:
    cropped = as_jpeg(clean, 40).pixels[3:, 5:]
    assert seen(Photo(cropped), net).quality == pytest.approx(40, abs=16)


def test_reads_softness(clean: Photo, net: Net) -> None:
    soft = Photo(np.asarray(cv2.GaussianBlur(clean.pixels, (0, 0), 1.2), np.uint8))
    assert seen(soft, net).blur > seen(clean, net).blur + 0.3


def test_16_bits_read_the_same(chelsea: Photo, net: Net) -> None:
    noisy = as_jpeg(chelsea, 50)
    deep = Photo(noisy.pixels.astype(np.uint16) * np.uint16(257))
    assert seen(deep, net).quality == pytest.approx(seen(noisy, net).quality, abs=0.5)


@pytest.mark.parametrize("shape", [(1, 1, 3), (7, 300, 1), (40, 40, 3)])
def test_too_small_to_say(shape: tuple[int, ...], net: Net) -> None:
    assert estimate(Photo(np.full(shape, 90, np.uint8)), net) is None


@pytest.mark.parametrize("value", [0, 128, 255])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_one_colour_all_over_is_clean(value: int, dtype: Any, net: Net) -> None:
    pixels: Any = np.full((200, 240, 1), value * (np.iinfo(dtype).max // 255), dtype)
    sure = seen(Photo(pixels), net).leaning_to_clean()
    assert sure.sigma < 2.5


def test_a_wholly_transparent_photo_says_nothing(chelsea: Photo, net: Net) -> None:
    assert estimate(Photo(chelsea.pixels, np.zeros(chelsea.pixels.shape[:2], np.uint8)), net) is None


def test_leaning_never_passes_clean() -> None:
    sure = Estimate(3, 4, 90, 20, 0.2, 0.5).leaning_to_clean()
    assert (sure.sigma, sure.quality, sure.blur) == (0, 100, 0)
