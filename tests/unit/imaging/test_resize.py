from __future__ import annotations

import numpy as np
import pytest

from relume.imaging.photo import Metadata, Photo
from relume.imaging.resize import resize

METADATA = Metadata(dpi=(300, 300))


@pytest.fixture
def photo() -> Photo:
    rows, columns = np.mgrid[:300, :451]
    waves = 128 + 60 * np.sin(rows / 9) + 60 * np.cos(columns / 13)
    return Photo(np.stack([waves, waves[::-1], waves[:, ::-1]], axis=2).astype(np.uint8), metadata=METADATA)


@pytest.mark.parametrize("size", [(451, 300), (902, 600), (100, 50), (1, 1), (100, 700), (1353, 20)])
def test_gives_exactly_the_size_asked_for(photo: Photo, size: tuple[int, int]) -> None:
    result = resize(photo, *size)
    assert (result.width, result.height) == size
    assert result.metadata == photo.metadata


def test_the_same_size_is_the_same_pixels(photo: Photo) -> None:
    assert resize(photo, photo.width, photo.height).pixels is photo.pixels


def test_there_and_back_is_nearly_the_photo(photo: Photo) -> None:
    back = resize(resize(photo, 902, 600), 451, 300)
    assert np.abs(back.pixels.astype(int) - photo.pixels).mean() < 1


def test_strips_join_without_a_seam() -> None:
    rows = np.linspace(1000, 60_000, 200).astype(np.uint16)
    ramp = Photo(np.broadcast_to(rows[:, None, None], (200, 4, 1)).copy())
    enlarged = resize(ramp, 4, 1400).pixels[:, 0, 0].astype(int)
    steps = np.diff(enlarged[20:-20])
    assert steps.min() >= 0
    assert steps.max() <= 60  # the ramp climbs 42 a row


def test_keeps_16_bits_and_one_channel() -> None:
    grey = Photo(np.full((30, 40, 1), 40_001, np.uint16))
    for size in ((80, 60), (20, 15)):
        result = resize(grey, *size)
        assert result.is_greyscale
        assert result.pixels.dtype == np.uint16
        assert (result.pixels == 40_001).all()


@pytest.mark.parametrize("size", [(90, 90), (20, 20)])
def test_what_lies_under_transparent_pixels_does_not_bleed(size: tuple[int, int]) -> None:
    pixels = np.zeros((60, 60, 3), np.uint8)
    pixels[:, :31] = (200, 10, 10)
    alpha = np.zeros((60, 60), np.uint8)
    alpha[:, :31] = 255
    result = resize(Photo(pixels, alpha), *size)
    assert result.alpha is not None
    covered = result.alpha > 8
    assert np.abs(result.pixels[covered].astype(int) - (200, 10, 10)).max() <= 2
