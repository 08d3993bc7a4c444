from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from relume.builtin.measure import Damage
from relume.builtin.sharpen import sharpen
from relume.imaging.photo import Photo
from relume.ports import RunContext

Psnr = Callable[[Photo, Photo], float]


def test_a_sharp_photo_is_left_alone(clean: Photo) -> None:
    result, report = sharpen(clean, Damage(clean), RunContext())
    assert result.pixels is clean.pixels
    assert not report.changed


def test_brings_a_blurred_photo_nearer_to_the_sharp_one(clean: Photo, psnr: Psnr) -> None:
    soft = Photo(np.asarray(cv2.GaussianBlur(clean.pixels, (0, 0), 1.5), np.uint8))
    result, report = sharpen(soft, Damage(soft), RunContext())
    assert report.changed
    assert psnr(result, clean) > psnr(soft, clean) + 0.4


def test_leaves_no_halo() -> None:
    pixels = np.full((400, 400, 1), 60, np.uint8)
    cv2.circle(pixels, (250, 250), 120, 190, -1)
    cv2.circle(pixels, (70, 70), 50, 120, -1)
    soft = Photo(np.asarray(cv2.GaussianBlur(pixels, (0, 0), 2), np.uint8).reshape(400, 400, 1))
    result, report = sharpen(soft, Damage(soft), RunContext())
    assert report.changed
    assert result.pixels.min() >= 60 - 7
    assert result.pixels.max() <= 190 + 7


def test_grey_in_rgb_stays_exactly_grey(chelsea: Photo) -> None:
    soft = np.asarray(cv2.GaussianBlur(chelsea.pixels[..., 1], (0, 0), 1.5), np.uint8)
    grey = soft[..., None].repeat(3, axis=2)
    result, report = sharpen(Photo(grey), Damage(Photo(grey)), RunContext())
    assert report.changed
    assert np.ptp(result.pixels.astype(int), axis=2).max() == 0
