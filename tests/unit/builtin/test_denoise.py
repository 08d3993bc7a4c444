from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from relume.builtin.dct import DCT_2D
from relume.builtin.denoise import denoise
from relume.builtin.measure import Damage
from relume.builtin.shrinkage import REACH, shrink
from relume.imaging.photo import Photo
from relume.imaging.tiles import map_tiles
from relume.ports import RunContext

AddNoise = Callable[[Photo, float], Photo]
Psnr = Callable[[Photo, Photo], float]


def test_a_clean_photo_is_left_alone(clean: Photo) -> None:
    result, report = denoise(clean, Damage(clean), RunContext())
    assert result.pixels is clean.pixels
    assert not report.changed


def test_beats_a_bilateral_filter_on_noise(clean: Photo, add_noise: AddNoise, psnr: Psnr) -> None:
    noisy = add_noise(clean, 10)
    bilateral = Photo(np.asarray(cv2.bilateralFilter(noisy.pixels, -1, 30, 1.8), np.uint8))
    result, report = denoise(noisy, Damage(noisy), RunContext())
    assert report.changed
    assert psnr(result, clean) > psnr(bilateral, clean) + 0.3
    assert psnr(result, clean) > psnr(noisy, clean) + 5


def test_softens_jpeg_blocks(clean: Photo, psnr: Psnr) -> None:
    _, file = cv2.imencode(".jpg", clean.pixels, [cv2.IMWRITE_JPEG_QUALITY, 30])
    blocky = Photo(np.asarray(cv2.imdecode(file, cv2.IMREAD_COLOR), np.uint8))
    result, _ = denoise(blocky, Damage(blocky), RunContext())
    assert psnr(result, clean) > psnr(blocky, clean) + 0.35


def test_works_at_16_bits_and_keeps_their_steps(chelsea: Photo, add_noise: AddNoise, psnr: Psnr) -> None:
    deep = Photo(chelsea.pixels.astype(np.uint16) * 257)
    noisy = add_noise(deep, 10)
    result, _ = denoise(noisy, Damage(noisy), RunContext())
    assert result.pixels.dtype == np.uint16
    assert psnr(result, deep) > psnr(noisy, deep) + 5
    assert len(np.unique(result.pixels)) > 10_000


def test_greyscale_stays_greyscale(chelsea: Photo, add_noise: AddNoise, psnr: Psnr) -> None:
    grey = Photo(chelsea.pixels[..., 1:2].copy())
    noisy = add_noise(grey, 10)
    result, _ = denoise(noisy, Damage(noisy), RunContext())
    assert result.is_greyscale
    assert psnr(result, grey) > psnr(noisy, grey) + 4


def test_alpha_is_kept(chelsea: Photo, add_noise: AddNoise) -> None:
    alpha = np.full(chelsea.pixels.shape[:2], 255, np.uint8)
    alpha[:50] = 0
    noisy = Photo(add_noise(chelsea, 10).pixels, alpha)
    result, report = denoise(noisy, Damage(noisy), RunContext())
    assert report.changed
    assert result.alpha is alpha


def test_the_transform_is_orthonormal() -> None:
    assert np.allclose(DCT_2D @ DCT_2D.T, np.eye(64), atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 90, 3), (7, 8, 1), (65, 31, 3)])
def test_shrinking_nothing_changes_nothing(shape: tuple[int, ...]) -> None:
    levels = np.random.default_rng(0).uniform(0, 255, shape).astype(np.float32)
    assert np.allclose(shrink(levels, np.zeros((shape[2], 64), np.float32)), levels, atol=1e-2)


def test_tiles_have_no_seams() -> None:
    levels = np.random.default_rng(0).uniform(0, 255, (150, 200, 3)).astype(np.float32)
    thresholds = np.full((3, 64), 60, np.float32)
    tiled = map_tiles(levels, lambda tile: shrink(tile, thresholds), tile=64, overlap=REACH)
    assert np.allclose(tiled, shrink(levels, thresholds), atol=1e-2)
