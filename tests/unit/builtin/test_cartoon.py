from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest

from relume.builtin.cartoon import NAME, STYLES, cartoonify
from relume.builtin.restorer import run_task
from relume.errors import InvalidParameter, JobCancelled
from relume.imaging.compare import fidelity
from relume.imaging.photo import Metadata, Photo
from relume.ports import RunContext
from relume.tasks import Cartoonify

Sample = Callable[[str], Any]
AddNoise = Callable[[Photo, float], Photo]


@pytest.fixture(scope="module")
def astronaut(sample: Sample) -> Photo:
    return Photo(np.ascontiguousarray(sample("astronaut")[:240, 100:340]))


@pytest.fixture(scope="module")
def drawn(astronaut: Photo) -> dict[str, Photo]:
    return {style: cartoonify(astronaut, style, RunContext())[0] for style in STYLES}


def test_the_styles_are_these() -> None:
    assert STYLES == ("comic", "soft", "sketch", "poster")
    assert Cartoonify().style in STYLES


def test_an_unknown_style_is_refused_with_the_known_ones(chelsea: Photo) -> None:
    with pytest.raises(InvalidParameter, match="comic, soft, sketch, poster"):
        cartoonify(chelsea, "manga", RunContext())


# Measured: comic 0.91, soft 0.85, sketch 0.69, poster 0.91; against another photo, under 0.2.
@pytest.mark.parametrize(
    ("style", "least"), [("comic", 0.83), ("soft", 0.78), ("sketch", 0.6), ("poster", 0.8)]
)
def test_still_shows_what_the_photo_shows(
    astronaut: Photo, drawn: dict[str, Photo], style: str, least: float
) -> None:
    assert fidelity(astronaut, drawn[style]) > least


def test_the_styles_look_different(drawn: dict[str, Photo]) -> None:
    for first in STYLES:
        for second in STYLES:
            if first != second:
                difference = np.abs(drawn[first].pixels.astype(int) - drawn[second].pixels)
                assert difference.mean() > 8, (first, second)


# Measured: the photo 0.02, comic 0.29, poster 0.43.
@pytest.mark.parametrize(("style", "least"), [("comic", 0.2), ("poster", 0.35)])
def test_areas_become_flat(astronaut: Photo, drawn: dict[str, Photo], style: str, least: float) -> None:
    assert _flat_share(astronaut) < 0.05
    assert _flat_share(drawn[style]) > least


def test_a_poster_has_few_colours(astronaut: Photo, drawn: dict[str, Photo]) -> None:
    assert _colours_of_most(astronaut) > 1000
    assert _colours_of_most(drawn["poster"]) <= 24


def test_a_comic_has_ink_along_edges_and_none_elsewhere() -> None:
    pixels = np.full((300, 300, 3), 120, np.uint8)
    cv2.circle(pixels, (150, 150), 80, (210, 190, 160), -1)
    result, _ = cartoonify(Photo(pixels), "comic", RunContext())
    y, x = np.indices((300, 300))
    distance = np.abs(np.hypot(x - 150, y - 150) - 80)
    # A line is drawn on the dark side: some pixels near the outline are much darker than either side.
    near, far = result.pixels[distance < 4], result.pixels[distance > 12]
    assert near.min() < 60
    assert far.min() > 90


def test_grain_draws_no_specks(add_noise: AddNoise) -> None:
    pixels = np.full((240, 240, 3), (190, 160, 140), np.uint8)
    pixels[:, 120:] = (90, 110, 150)
    clean, _ = cartoonify(Photo(pixels), "comic", RunContext())
    grainy, _ = cartoonify(add_noise(Photo(pixels), 14), "comic", RunContext())
    assert np.abs(grainy.pixels.astype(int) - clean.pixels)[:, :105].max() < 40


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
def test_size_depth_channels_alpha_and_metadata_stay(style: str, dtype: Any, channels: int) -> None:
    white = np.iinfo(dtype).max
    rows = np.linspace(0, white, 61)[:, None, None]
    pixels = np.broadcast_to(rows, (61, 83, channels)).astype(dtype)
    alpha = np.full((61, 83), white, dtype)
    alpha[:20] = 0
    photo = Photo(pixels, alpha, Metadata(dpi=(300, 300)))
    result, report = cartoonify(photo, style, RunContext())
    assert result.pixels.shape == photo.pixels.shape
    assert result.pixels.dtype == dtype
    assert result.alpha is alpha
    assert result.metadata == photo.metadata
    assert int(np.ptp(result.pixels)) > white // 8
    assert (report.name, report.changed) == (NAME, True)
    assert style in report.detail


def test_what_transparent_pixels_hide_does_not_show() -> None:
    pixels = np.full((80, 80, 3), 170, np.uint8)
    alpha = np.full((80, 80), 255, np.uint8)
    alpha[:, :40] = 0
    hidden = pixels.copy()
    hidden[:, :40] = np.random.default_rng(0).integers(0, 255, (80, 40, 3), np.uint8)
    plain, _ = cartoonify(Photo(pixels, alpha), "comic", RunContext())
    other, _ = cartoonify(Photo(hidden, alpha), "comic", RunContext())
    assert np.abs(plain.pixels.astype(int) - other.pixels)[:, 40:].max() <= 2


@pytest.mark.parametrize("style", STYLES)
def test_grey_in_rgb_gains_no_colour(chelsea: Photo, style: str) -> None:
    grey = chelsea.pixels[::2, ::2, 1:2].repeat(3, axis=2)
    result, _ = cartoonify(Photo(grey), style, RunContext())
    assert np.ptp(result.pixels.astype(int), axis=2).max() <= 1


def test_a_sepia_photo_gets_no_stronger_colour(sepia: Photo) -> None:
    result, _ = cartoonify(sepia, "comic", RunContext())
    assert _chroma(result) < 1.15 * _chroma(sepia)


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 4096, 3), (4096, 1, 1), (2, 3, 1)])
@pytest.mark.parametrize("style", STYLES)
def test_takes_any_size(shape: tuple[int, ...], style: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, shape).astype(np.uint8)
    result, _ = cartoonify(Photo(pixels, pixels[..., 0]), style, RunContext())
    assert result.pixels.shape == shape


def test_a_large_photo_keeps_crisp_outlines() -> None:
    pixels = np.full((400, 3200, 1), 40, np.uint8)
    pixels[:, 1500:] = 220
    result, _ = cartoonify(Photo(pixels), "poster", RunContext())
    row = result.pixels[200, :, 0].astype(int)
    low, high = int(row[0]), int(row[-1])
    between = (row > low + 0.1 * (high - low)) & (row < high - 0.1 * (high - low))
    assert np.count_nonzero(between) <= 6
    assert abs(int(np.argmax(row > (low + high) / 2)) - 1500) <= 2


@pytest.mark.parametrize("style", ["soft", "poster"])
def test_the_same_photo_gives_the_same_cartoon(astronaut: Photo, drawn: dict[str, Photo], style: str) -> None:
    assert np.array_equal(cartoonify(astronaut, style, RunContext())[0].pixels, drawn[style].pixels)


def test_a_cancel_takes_hold_while_drawing(chelsea: Photo) -> None:
    cancelled = threading.Event()
    told: list[float] = []

    def cancel_late(fraction: float, _step: str) -> None:
        told.append(fraction)
        if fraction > 0.4:
            cancelled.set()

    small = Photo(chelsea.pixels[::3, ::3].copy())
    with pytest.raises(JobCancelled):
        cartoonify(small, "comic", RunContext(on_progress=cancel_late, cancelled=cancelled))
    assert told == sorted(told)
    assert sum(fraction > 0.4 for fraction in told) == 1


def test_is_a_task_of_the_built_in_restorer(chelsea: Photo) -> None:
    small = Photo(chelsea.pixels[::3, ::3].copy())
    result, (report,) = run_task(Cartoonify("sketch"), small, RunContext())
    assert np.array_equal(result.pixels, cartoonify(small, "sketch", RunContext())[0].pixels)
    assert report.seconds > 0


def _flat_share(photo: Photo) -> float:
    """The share of windows of 5x5 in which every channel deviates by less than a level.

    Not the median deviation: a window of a drawing is either flat or on an outline.
    """
    levels = photo.pixels.astype(np.float32)
    mean = cv2.blur(levels, (5, 5))
    variance = np.max(cv2.blur(levels**2, (5, 5)) - mean**2, axis=2)
    return float((variance < 1).mean())


def _colours_of_most(photo: Photo) -> int:
    """How many colours it takes to make 80 % of the pixels."""
    _, counts = np.unique(photo.pixels.reshape(-1, 3), axis=0, return_counts=True)
    shares = np.cumsum(np.sort(counts)[::-1]) / counts.sum()
    return int(np.searchsorted(shares, 0.8)) + 1


def _chroma(photo: Photo) -> float:
    return float(np.ptp(photo.pixels.astype(int), axis=2).mean())
