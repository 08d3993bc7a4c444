from __future__ import annotations

from collections.abc import Callable

import numpy as np

from relume.builtin.colour import balance
from relume.builtin.measure import measure
from relume.builtin.tone import Palette, measure_tone
from relume.imaging.photo import Photo
from relume.ports import RunContext

Psnr = Callable[[Photo, Photo], float]


def faded(photo: Photo, slope: tuple[float, ...] = (0.6, 0.55, 0.45), black: float = 60) -> Photo:
    levels = photo.pixels * np.array(slope) + black * photo.white / 255
    return photo.with_pixels(np.rint(levels).astype(photo.pixels.dtype))


def test_a_sound_photo_is_left_alone(clean: Photo) -> None:
    result, report = balance(clean, measure(clean), RunContext())
    assert result.pixels is clean.pixels
    assert not report.changed


def test_gives_back_contrast_and_colour(clean: Photo, psnr: Psnr) -> None:
    # Stretched to the full range first, so that the truth has a black and a white to come back to.
    low, high = np.percentile(clean.pixels, (0.5, 99.5))
    truth = Photo(np.clip((clean.pixels - low) * 250 / (high - low), 0, 250).astype(np.uint8))
    old = faded(truth)
    result, report = balance(old, measure(old), RunContext())
    assert report.changed
    assert psnr(result, truth) > psnr(old, truth) + 4


def test_greyscale_in_rgb_stays_exactly_grey(chelsea: Photo) -> None:
    grey = Photo(chelsea.pixels[..., 1:2].repeat(3, axis=2))
    result, report = balance(
        faded(grey, (0.5, 0.5, 0.5)), measure(faded(grey, (0.5, 0.5, 0.5))), RunContext()
    )
    assert report.changed
    assert (result.pixels[..., 0] == result.pixels[..., 1]).all()
    assert (result.pixels[..., 1] == result.pixels[..., 2]).all()


def test_sepia_keeps_its_hue(sepia: Photo) -> None:
    old = faded(sepia, (0.5, 0.5, 0.5))
    result, report = balance(old, measure(old), RunContext())
    assert report.changed
    assert measure_tone(result).palette is Palette.TONED
    before, after = (photo.pixels.reshape(-1, 3).mean(axis=0) for photo in (old, result))
    assert before[0] > before[1] > before[2]
    assert after[0] > after[1] > after[2]
    assert after[0] - after[2] > before[0] - before[2]


def test_16_bits_do_not_band(chelsea: Photo) -> None:
    ramp = np.linspace(18_000, 40_000, 400 * 400).astype(np.uint16).reshape(400, 400, 1)
    result, report = balance(Photo(ramp), measure(Photo(ramp)), RunContext())
    assert report.changed
    assert len(np.unique(result.pixels)) > 0.95 * len(np.unique(ramp))
    assert int(result.pixels.max()) - int(result.pixels.min()) > 1.3 * 22_000


def test_one_colour_all_over_is_no_faded_photo() -> None:
    flat = Photo(np.full((64, 64, 3), 120, np.uint8))
    result, _ = balance(flat, measure(flat), RunContext())
    assert result.pixels is flat.pixels
