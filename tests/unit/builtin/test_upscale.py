from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest

from relume.builtin.levels import to_levels
from relume.builtin.upscale import back_project, upscale
from relume.errors import InvalidParameter
from relume.imaging.photo import Photo
from relume.ports import RunContext

Psnr = Callable[[Photo, Photo], float]


def halved(photo: Photo) -> tuple[Photo, Photo]:
    """(half the size, the photo cropped to even sides)."""
    even = photo.pixels[: photo.height // 2 * 2, : photo.width // 2 * 2]
    size = even.shape[1] // 2, even.shape[0] // 2
    return Photo(np.asarray(cv2.resize(even, size, interpolation=cv2.INTER_AREA), np.uint8)), Photo(even)


def test_beats_lanczos(clean: Photo, psnr: Psnr) -> None:
    small, truth = halved(clean)
    size = truth.width, truth.height
    large = cv2.resize(small.pixels, size, interpolation=cv2.INTER_LANCZOS4)
    lanczos = Photo(np.asarray(large, np.uint8))
    result, report = upscale(small, 2, RunContext())
    assert report.changed
    assert psnr(result, truth) > psnr(lanczos, truth) + 0.15


def test_does_not_ring() -> None:
    edge = np.full((40, 40, 1), 60, np.uint8)
    edge[:, 20:] = 190
    result, _ = upscale(Photo(edge), 4, RunContext())
    assert result.pixels.min() >= 60 - 8
    assert result.pixels.max() <= 190 + 8


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 700, 1), (20, 31, 3)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_gives_the_exact_size(shape: tuple[int, ...], scale: int, dtype: Any) -> None:
    pixels = np.random.default_rng(0).integers(0, 250, shape, dtype=dtype)
    result, _ = upscale(Photo(pixels, alpha=pixels[..., 0]), scale, RunContext())
    assert result.pixels.shape == (shape[0] * scale, shape[1] * scale, shape[2])
    assert result.alpha is not None
    assert result.alpha.shape == result.pixels.shape[:2]
    assert result.pixels.dtype == result.alpha.dtype == dtype


def test_tiles_have_no_seams() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (530, 600, 1), dtype=np.uint8)
    tiled, _ = upscale(Photo(pixels), 2, RunContext())
    whole = np.rint(np.clip(back_project(to_levels(pixels), 2), 0, 255))
    assert np.abs(tiled.pixels - whole).max() <= 1


def test_what_lies_under_transparent_pixels_does_not_bleed() -> None:
    pixels = np.zeros((60, 60, 3), np.uint8)
    pixels[:, :31] = (200, 10, 10)
    alpha = np.where(pixels[..., 0] > 0, 255, 0).astype(np.uint8)
    result, _ = upscale(Photo(pixels, alpha), 3, RunContext())
    assert result.alpha is not None
    covered = result.alpha > 8
    assert np.abs(result.pixels[covered].astype(int) - (200, 10, 10)).max() <= 4


def test_16_bits_do_not_band() -> None:
    ramp = np.linspace(20_000, 24_000, 200).astype(np.uint16)
    result, _ = upscale(Photo(np.broadcast_to(ramp[:, None, None], (200, 8, 1)).copy()), 4, RunContext())
    assert len(np.unique(result.pixels)) > 700


def test_scale_1_is_the_same_photo_and_0_is_none(chelsea: Photo) -> None:
    assert upscale(chelsea, 1, RunContext())[0].pixels is chelsea.pixels
    with pytest.raises(InvalidParameter):
        upscale(chelsea, 0, RunContext())
