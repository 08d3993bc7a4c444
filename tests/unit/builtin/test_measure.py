from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest

from relume.builtin.blocks import measure_blocks
from relume.builtin.blur import measure_blur
from relume.builtin.measure import Damage
from relume.builtin.scratches import Scratches, find_scratches
from relume.builtin.tone import Palette, measure_tone
from relume.imaging.photo import Photo

AddNoise = Callable[[Photo, float], Photo]


def as_jpeg(photo: Photo, quality: int) -> Photo:
    _, file = cv2.imencode(".jpg", photo.pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return Photo(np.asarray(cv2.imdecode(file, cv2.IMREAD_COLOR), np.uint8))


def test_clean_photos_have_no_blocks(clean: Photo) -> None:
    assert measure_blocks(clean).step == 0


def test_stronger_compression_gives_larger_block_steps(clean: Photo) -> None:
    steps = [measure_blocks(as_jpeg(clean, quality)).step for quality in (80, 40, 15)]
    assert 0.4 < steps[0] < steps[1] < steps[2]


def test_finds_the_grid_after_a_crop(clean: Photo) -> None:
    cropped = Photo(as_jpeg(clean, 40).pixels[3:, 5:])
    assert measure_blocks(cropped).step > 0.8


@pytest.mark.parametrize("sigma", [1.5, 2.5])
def test_reads_blur(clean: Photo, sigma: float) -> None:
    assert measure_blur(clean).sigma < 0.7
    blurred = Photo(np.asarray(cv2.GaussianBlur(clean.pixels, (0, 0), sigma), np.uint8))
    assert measure_blur(blurred).sigma == pytest.approx(sigma, rel=0.25)


def test_tells_colour_sepia_and_greyscale_apart(clean: Photo, sepia: Photo) -> None:
    grey = clean.pixels.mean(axis=2, keepdims=True).astype(np.uint8)
    assert measure_tone(clean).palette is Palette.COLOUR
    assert measure_tone(sepia).palette is Palette.TONED
    assert measure_tone(Photo(grey)).palette is Palette.MONOCHROME
    assert measure_tone(Photo(grey.repeat(3, axis=2))).palette is Palette.MONOCHROME


def test_a_grainy_sepia_photo_is_still_sepia(sepia: Photo, add_noise: AddNoise) -> None:
    assert measure_tone(add_noise(sepia, 15)).palette is Palette.TONED


def test_foliage_is_no_toned_photo(sepia: Photo) -> None:
    green = Photo(sepia.pixels[..., [1, 0, 2]].copy())
    assert measure_tone(green).palette is Palette.COLOUR


def test_transparent_parts_do_not_count(chelsea: Photo) -> None:
    pixels = chelsea.pixels // 2 + 60
    pixels[:150] = 255
    alpha = np.full(pixels.shape[:2], 255, np.uint8)
    alpha[:150] = 0
    tone = measure_tone(Photo(pixels, alpha))
    assert tone.luma_black > 60
    assert tone.luma_white < 200


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 1, 1), (1, 4096, 3), (4096, 1, 1), (7, 9, 3), (33, 40, 1)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_measures_any_size(shape: tuple[int, ...], dtype: Any) -> None:
    noise = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape, dtype=dtype)
    damage = Damage(Photo(noise))
    assert damage.scratches.mask.shape == shape[:2]
    assert not damage.scratches.mask.any()


def test_what_is_not_asked_for_is_not_measured(chelsea: Photo, monkeypatch: pytest.MonkeyPatch) -> None:
    searches: list[Photo] = []

    def search(photo: Photo, *rest: Any) -> Scratches:
        searches.append(photo)
        return find_scratches(photo, *rest)

    monkeypatch.setattr("relume.builtin.measure.find_scratches", search)
    damage = Damage(chelsea)
    assert damage.blur.confidence > 0
    assert damage.degradation is damage.degradation
    assert not searches
    assert damage.measured().scratches is damage.scratches
    assert len(searches) == 1


def test_a_wholly_transparent_photo_has_nothing_to_measure(chelsea: Photo) -> None:
    damage = Damage(Photo(chelsea.pixels, np.zeros(chelsea.pixels.shape[:2], np.uint8)))
    assert damage.noise.confidence == 0
    assert damage.tone.confidence == 0
    assert damage.blur.confidence == 0
    assert not damage.scratches.mask.any()
