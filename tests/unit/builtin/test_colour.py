from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from relume.builtin.colour import balance
from relume.builtin.curves import choose_curves
from relume.builtin.measure import Damage
from relume.builtin.nets import Nets
from relume.builtin.tone import Palette, measure_tone
from relume.imaging.photo import Photo
from relume.ports import RunContext

Psnr = Callable[[Photo, Photo], float]


def faded(photo: Photo, slope: tuple[float, ...] = (0.6, 0.55, 0.45), black: float = 60) -> Photo:
    levels = photo.pixels * np.array(slope) + black * photo.white / 255
    return photo.with_pixels(np.rint(levels).astype(photo.pixels.dtype))


def test_a_sound_photo_is_left_alone(clean: Photo) -> None:
    result, report = balance(clean, Damage(clean), RunContext())
    assert result.pixels is clean.pixels
    assert not report.changed


def test_gives_back_contrast_and_colour(clean: Photo, psnr: Psnr) -> None:
    # Stretched to the full range first, so that the truth has a black and a white to come back to.
    low, high = np.percentile(clean.pixels, (0.5, 99.5))
    truth = Photo(np.clip((clean.pixels - low) * 250 / (high - low), 0, 250).astype(np.uint8))
    old = faded(truth)
    result, report = balance(old, Damage(old), RunContext())
    assert report.changed
    assert psnr(result, truth) > psnr(old, truth) + 4


def test_greyscale_in_rgb_stays_exactly_grey(chelsea: Photo) -> None:
    grey = Photo(chelsea.pixels[..., 1:2].repeat(3, axis=2))
    result, report = balance(faded(grey, (0.5, 0.5, 0.5)), Damage(faded(grey, (0.5, 0.5, 0.5))), RunContext())
    assert report.changed
    assert (result.pixels[..., 0] == result.pixels[..., 1]).all()
    assert (result.pixels[..., 1] == result.pixels[..., 2]).all()


def test_sepia_keeps_its_hue(sepia: Photo) -> None:
    old = faded(sepia, (0.5, 0.5, 0.5))
    result, report = balance(old, Damage(old), RunContext())
    assert report.changed
    assert measure_tone(result).palette is Palette.TONED
    before, after = (photo.pixels.reshape(-1, 3).mean(axis=0) for photo in (old, result))
    assert before[0] > before[1] > before[2]
    assert after[0] > after[1] > after[2]
    assert after[0] - after[2] > before[0] - before[2]


def test_16_bits_do_not_band(chelsea: Photo) -> None:
    ramp = np.linspace(18_000, 40_000, 400 * 400).astype(np.uint16).reshape(400, 400, 1)
    result, report = balance(Photo(ramp), Damage(Photo(ramp)), RunContext())
    assert report.changed
    assert len(np.unique(result.pixels)) > 0.95 * len(np.unique(ramp))
    assert int(result.pixels.max()) - int(result.pixels.min()) > 1.3 * 22_000


def test_one_colour_all_over_is_no_faded_photo() -> None:
    flat = Photo(np.full((64, 64, 3), 120, np.uint8))
    result, _ = balance(flat, Damage(flat), RunContext())
    assert result.pixels is flat.pixels


@pytest.fixture(scope="module")
def nets() -> Nets:
    pytest.importorskip("openvino")
    return Nets()


def pink(photo: Photo) -> Photo:
    """A print whose magenta outlived the other dyes: in density, so that white paper stays white."""
    density = -np.log10(np.maximum((photo.pixels / photo.white) ** 2.2, 0.004))
    light = 10 ** -(density * np.array([0.45, 0.85, 0.55])) * 0.96 + 0.02
    return photo.with_pixels(np.rint(light ** (1 / 2.2) * photo.white).astype(photo.pixels.dtype))


def test_the_network_gives_back_colours(clean: Photo, psnr: Psnr, nets: Nets) -> None:
    old = pink(clean)
    result, report = balance(old, Damage(old), RunContext(), nets)
    assert "by the network colour" in report.detail
    assert psnr(result, clean) > psnr(old, clean) + 1


def test_the_network_leaves_a_sound_photo_alone(clean: Photo, nets: Nets) -> None:
    result, report = balance(clean, Damage(clean), RunContext(), nets)
    assert result.pixels is clean.pixels
    assert not report.changed


def test_the_network_is_not_asked_about_greyscale_and_sepia(sepia: Photo, nets: Nets) -> None:
    old = faded(sepia, (0.5, 0.5, 0.5))
    with_nets, report = balance(old, Damage(old), RunContext(), nets)
    without, _ = balance(old, Damage(old), RunContext())
    assert (with_nets.pixels == without.pixels).all()
    assert "by stretching" in report.detail


def test_the_network_does_not_band_16_bits(chelsea: Photo, nets: Nets) -> None:
    smooth = cv2.GaussianBlur(chelsea.pixels.astype(np.float32) * 257, (0, 0), 3)
    old = pink(Photo(smooth.astype(np.uint16)))
    result, report = balance(old, Damage(old), RunContext(), nets)
    assert report.changed
    assert result.pixels.dtype == np.uint16
    for channel in range(3):
        assert len(np.unique(result.pixels[..., channel])) > 0.8 * len(np.unique(old.pixels[..., channel]))


def test_curves_rise_and_keep_grey(clean: Photo, nets: Nets) -> None:
    net = nets.get("colour")
    assert net is not None
    chosen = choose_curves(pink(clean), np.zeros(clean.pixels.shape[:2], bool), net)
    assert chosen is not None
    assert (np.diff(chosen.curves, axis=1) > 0).all()
    assert chosen.matrix.sum(axis=1) == pytest.approx(1, abs=1e-5)


def test_what_is_transparent_or_ignored_does_not_sway_the_curves(chelsea: Photo, nets: Nets) -> None:
    net = nets.get("colour")
    assert net is not None
    old = pink(chelsea)
    nothing = np.zeros(old.pixels.shape[:2], bool)
    part = nothing.copy()
    part[:60] = True
    chosen = []
    for colour in (0, 255):
        pixels = old.pixels.copy()
        pixels[part] = colour
        alpha = np.where(part, 0, 255).astype(np.uint8)
        chosen += [choose_curves(Photo(pixels), part, net), choose_curves(Photo(pixels, alpha), nothing, net)]
    assert all(
        one is not None and one.sure == pytest.approx(chosen[0].sure, abs=1e-3) for one in chosen if chosen[0]
    )
    assert choose_curves(Photo(old.pixels), ~nothing, net) is None
