from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from relume.builtin.inpaint import inpaint, repair
from relume.builtin.measure import Damage
from relume.builtin.noise import measure_noise
from relume.builtin.scratches import Scratches, find_scratches
from relume.builtin.tone import measure_tone
from relume.imaging.photo import Photo
from relume.ports import RunContext

Psnr = Callable[[Photo, Photo], float]
Sample = Callable[[str], NDArray[np.uint8]]

CREASES = np.array([[40, 20], [120, 45], [190, 30], [260, 70], [390, 60]], np.int32)


def find(photo: Photo) -> Scratches:
    return find_scratches(photo, measure_tone(photo), measure_noise(photo))


def creased(photo: Photo, width: int = 3) -> tuple[Photo, NDArray[np.bool_]]:
    """White creases and specks of bare paper, and where they are."""
    canvas = np.zeros(photo.pixels.shape[:2], np.uint8)
    cv2.polylines(canvas, [CREASES], False, 255, width)
    cv2.polylines(canvas, [CREASES[:, ::-1] + (30, -20)], False, 255, width)
    for x, y in ((300, 200), (350, 250), (100, 250)):
        cv2.circle(canvas, (x, y), 2, 255, -1)
    cover = cv2.GaussianBlur(canvas, (0, 0), 0.6)[..., None] / 255
    paper = np.full(photo.pixels.shape[2], 215.0)
    return Photo(np.rint(photo.pixels * (1 - cover) + paper * cover).astype(np.uint8)), canvas > 0


def test_clean_photos_have_no_scratches(clean: Photo) -> None:
    assert not find(clean).mask.any()


@pytest.mark.parametrize("name", ["astronaut", "chelsea", "camera", "coins", "text", "page", "brick"])
def test_clean_photos_made_to_look_old_have_next_to_none(name: str, sample: Sample) -> None:
    """Whiskers, tripods, text and fabric, in a faded greyscale photo where scratches are looked for."""
    image = sample(name)
    grey = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    old = Photo((grey * 0.7 + 60).astype(np.uint8)[..., None])
    assert find(old).share < 0.001


def test_stars_are_no_dust(sample: Sample) -> None:
    assert not find(Photo(sample("hubble_deep_field")[:400, :400].copy())).mask.any()


def test_a_clean_sepia_photo_has_next_to_none(sepia: Photo) -> None:
    assert find(sepia).share < 0.001


def test_finds_creases_in_a_sepia_photo(sepia: Photo) -> None:
    photo, truth = creased(sepia)
    found = find(photo).mask
    assert found[truth].mean() > 0.7
    near = cv2.dilate(truth.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    assert (~near & found).mean() < 0.002


def test_finds_paper_that_is_lighter_than_all_the_print_shows(sepia: Photo) -> None:
    """Near white no tone has colour: there the lightness tells."""
    faded = Photo((sepia.pixels * 0.6).astype(np.uint8))
    lines = np.zeros(faded.pixels.shape[:2], np.uint8)
    cv2.polylines(lines, [CREASES], False, 255, 2)
    pixels = faded.pixels.copy()
    pixels[lines > 0] = 248
    found = find(Photo(pixels)).mask
    assert found[lines > 0].mean() > 0.9
    assert (found & (cv2.dilate(lines, np.ones((9, 9), np.uint8)) == 0)).mean() < 0.002


def test_finds_rust_specks_in_a_sepia_photo_and_leaves_dark_ones() -> None:
    grey = np.add.outer(np.linspace(0.2, 0.6, 300), np.linspace(0, 0.3, 400))
    ground = 245 * np.stack([grey**0.7, grey, grey**1.6], axis=2)
    ground[100:105, 100:105] *= (0.95, 0.65, 0.5)  # rust
    darker = grey[200:205, 300:305] * 0.75
    ground[200:205, 300:305] = 245 * np.stack([darker**0.7, darker, darker**1.6], axis=2)
    mask = find(Photo(ground.astype(np.uint8))).mask
    assert mask[102, 102]
    assert not mask[202, 302]


def test_finds_a_lone_line_in_a_faded_greyscale_photo(sample: Sample) -> None:
    ground = cv2.GaussianBlur(sample("camera"), (0, 0), 6) * 0.4 + 60
    for level in (230, 5):
        photo = ground.astype(np.uint8)
        cv2.line(photo, (40, 30), (230, 120), level, 2)
        mask = find(Photo(photo[..., None])).mask
        assert mask[75, 135]
        assert mask.mean() < 0.01


def test_repair_brings_the_sepia_photo_back(sepia: Photo, psnr: Psnr) -> None:
    photo, _ = creased(sepia)
    result, report = repair(photo, Damage(photo), RunContext())
    assert report.changed
    assert psnr(result, sepia) > psnr(photo, sepia) + 5


def test_repair_touches_nothing_outside_the_mask(sepia: Photo) -> None:
    photo, _ = creased(sepia)
    damage = Damage(photo)
    result, _ = repair(photo, damage, RunContext())
    kept = ~damage.scratches.mask
    assert np.array_equal(result.pixels[kept], photo.pixels[kept])


def test_a_clean_photo_is_left_alone(clean: Photo) -> None:
    result, report = repair(clean, Damage(clean), RunContext())
    assert result.pixels is clean.pixels
    assert not report.changed


def test_transparent_parts_are_not_searched(sepia: Photo) -> None:
    photo, truth = creased(sepia)
    see_through = cv2.dilate(truth.astype(np.uint8), np.ones((15, 15), np.uint8)) > 0
    alpha = np.where(see_through, 0, 255).astype(np.uint8)
    assert find(Photo(photo.pixels, alpha)).share < 0.001


def test_16_bits_give_the_same_mask(sepia: Photo) -> None:
    photo, _ = creased(sepia)
    deep = Photo(photo.pixels.astype(np.uint16) * 257)
    assert np.array_equal(find(deep).mask, find(photo).mask)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_fill_has_the_grain_of_its_surroundings(channels: int) -> None:
    levels = (120 + np.random.default_rng(0).normal(0, 10, (100, 100, channels))).astype(np.float32)
    mask = np.zeros((100, 100), bool)
    mask[48:54, 10:90] = True
    filled = inpaint(levels, mask)
    assert 0.6 < filled[mask].std() / levels[~mask].std() < 1.3
    assert np.array_equal(filled[~mask], levels[~mask])
