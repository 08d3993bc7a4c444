from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from skimage import data
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from relume.imaging.compare import fidelity, is_blank, psnr, same_pixels, ssim
from relume.imaging.photo import Photo

Picture = NDArray[np.uint8]

ASTRONAUT: Picture = data.astronaut()  # type: ignore[no-untyped-call]
CAT: Picture = np.asarray(cv2.resize(data.chelsea(), (512, 512)), np.uint8)  # type: ignore[no-untyped-call]
FACE = (slice(60, 190), slice(165, 295))


def rounded(values: NDArray[np.floating]) -> Picture:
    return np.asarray(np.clip(np.rint(values), 0, 255), np.uint8)


def noisy(picture: Picture, sigma: float) -> Picture:
    return rounded(picture + np.random.default_rng(2).normal(0, sigma, picture.shape))


def scratched(picture: Picture) -> Picture:
    damaged, rng = picture.copy(), np.random.default_rng(3)
    for top, bottom in rng.integers(0, picture.shape[1], (6, 2)):
        cv2.line(damaged, (int(top), 0), (int(bottom), picture.shape[0]), (240, 240, 235), 1, cv2.LINE_AA)
    return damaged


def with_face(picture: Picture, change: Callable[[Picture], NDArray[Any]]) -> Picture:
    changed = picture.copy()
    changed[FACE] = change(picture[FACE])
    return changed


def blurred(picture: Picture, sigma: float) -> Picture:
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), np.uint8)


RESTORED = {
    "same": ASTRONAUT,
    "noise": noisy(ASTRONAUT, 25),
    "scratches": scratched(ASTRONAUT),
    "faded": rounded(ASTRONAUT * 0.55 + 80),
    "dark": rounded(ASTRONAUT * 0.5),
    "cast": rounded(ASTRONAUT * [1, 0.8, 0.6] + [0, 10, 20]),
    "blurred": blurred(ASTRONAUT, 1.5),
}
CHANGED = {
    "blank": np.full_like(ASTRONAUT, 128),
    "another photo": CAT,
    "shifted": np.roll(ASTRONAUT, 20, axis=1),
    "mirrored": np.ascontiguousarray(ASTRONAUT[:, ::-1]),
    "half lost": np.where(np.arange(512)[None, :, None] < 256, ASTRONAUT, 0).astype(np.uint8),
    "blurred away": blurred(ASTRONAUT, 10),
    "face blurred away": with_face(ASTRONAUT, lambda face: blurred(face, 12)),
    "face made flat": with_face(ASTRONAUT, lambda face: np.full_like(face, 140)),
    "another face": with_face(ASTRONAUT, lambda face: cv2.resize(CAT[50:400, 100:400], face.shape[1::-1])),
}


@pytest.mark.parametrize("name", RESTORED)
def test_fidelity_of_a_restored_photo_is_high(name: str) -> None:
    assert fidelity(Photo(RESTORED[name]), Photo(ASTRONAUT)) > 0.9


@pytest.mark.parametrize("name", CHANGED)
def test_fidelity_of_another_picture_is_low(name: str) -> None:
    assert fidelity(Photo(ASTRONAUT), Photo(CHANGED[name])) < 0.8


def test_fidelity_does_not_depend_on_the_size_or_depth_of_the_result() -> None:
    enlarged = cv2.resize(ASTRONAUT, None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)
    assert fidelity(Photo(ASTRONAUT), Photo(enlarged.astype(np.uint16) * 257)) > 0.99


@pytest.mark.parametrize("shape", [(1, 1, 3), (3, 2, 1), (5, 2000, 3)])
def test_fidelity_of_tiny_photos(shape: tuple[int, int, int]) -> None:
    photo = Photo(np.random.default_rng(1).integers(0, 256, shape, np.uint8))
    assert fidelity(photo, photo) == pytest.approx(1)


def test_ssim_is_that_of_scikit_image() -> None:
    other = noisy(ASTRONAUT, 15)
    luma = [picture @ np.array([0.299, 0.587, 0.114]) for picture in (ASTRONAUT, other)]
    expected = structural_similarity(  # type: ignore[no-untyped-call]
        *luma, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255
    )
    assert ssim(ASTRONAUT, other) == pytest.approx(expected, abs=1e-5)
    assert ssim(ASTRONAUT, ASTRONAUT) == pytest.approx(1)


def test_psnr_is_that_of_scikit_image() -> None:
    other = noisy(ASTRONAUT, 15)
    expected = peak_signal_noise_ratio(ASTRONAUT, other)  # type: ignore[no-untyped-call]
    assert psnr(ASTRONAUT, other) == pytest.approx(expected, abs=1e-6)
    deep, other_deep = (picture.astype(np.uint16) * 257 for picture in (ASTRONAUT, other))
    assert psnr(deep, other_deep) == pytest.approx(expected, abs=1e-6)
    assert psnr(deep, deep) == math.inf


def test_blank() -> None:
    assert is_blank(Photo(np.full((600, 600, 3), (200, 10, 10), np.uint8)))
    assert is_blank(Photo(noisy(np.full((600, 600, 3), 90, np.uint8), 2)))
    assert is_blank(Photo(np.full((9, 9, 1), 40_000, np.uint16)))
    assert not is_blank(Photo(ASTRONAUT))
    assert not is_blank(Photo(rounded(ASTRONAUT * 0.1)))


def test_same_pixels() -> None:
    photo = Photo(ASTRONAUT)
    alpha = np.full(ASTRONAUT.shape[:2], 255, np.uint8)
    other = ASTRONAUT.copy()
    other[7, 7, 0] ^= 1
    assert same_pixels(photo, Photo(ASTRONAUT.copy()))
    assert same_pixels(replace(photo, alpha=alpha), replace(photo, alpha=alpha.copy()))
    assert not same_pixels(photo, Photo(other))
    assert not same_pixels(photo, replace(photo, alpha=alpha))
    assert not same_pixels(photo, Photo(ASTRONAUT.astype(np.uint16)))
