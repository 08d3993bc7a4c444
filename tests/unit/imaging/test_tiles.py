from __future__ import annotations

import cv2
import numpy as np
import pytest

from relume.imaging.tiles import Array, map_tiles, tile_grid


def noise(*shape: int) -> Array:
    return np.random.default_rng(7).integers(0, 256, shape, dtype=np.uint8)


def box_blur(pixels: Array) -> Array:
    return np.asarray(cv2.blur(pixels, (9, 9), borderType=cv2.BORDER_REFLECT))


def double(pixels: Array) -> Array:
    return pixels.repeat(2, axis=0).repeat(2, axis=1)


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 300, 3), (64, 64, 3), (65, 129, 3), (200, 130, 3)])
def test_equals_the_untiled_filter_when_the_overlap_covers_its_radius(shape: tuple[int, ...]) -> None:
    pixels = noise(*shape)
    assert np.array_equal(map_tiles(pixels, box_blur, tile=64, overlap=4), box_blur(pixels))


def test_an_overlap_below_the_radius_shows() -> None:
    pixels = noise(200, 130, 3)
    assert not np.array_equal(map_tiles(pixels, box_blur, tile=64, overlap=1), box_blur(pixels))


@pytest.mark.parametrize("shape", [(1, 1), (50, 70), (50, 70, 4)])
def test_scales_every_tile_to_its_place(shape: tuple[int, ...]) -> None:
    pixels = noise(*shape)
    assert np.array_equal(map_tiles(pixels, double, tile=16, overlap=3, scale=2), double(pixels))


def test_the_output_has_the_dtype_and_channels_of_the_results() -> None:
    result = map_tiles(noise(40, 40, 3), lambda tile: tile[..., :1].astype(np.float32), tile=16, overlap=2)
    assert result.shape == (40, 40, 1)
    assert result.dtype == np.float32


def test_inner_parts_cover_every_pixel_once() -> None:
    seen = np.zeros((100, 37), int)
    for part in tile_grid(100, 37, tile=16, overlap=5):
        seen[part.inner] += 1
    assert (seen == 1).all()


def test_tells_of_each_tile_and_stops_when_told_to() -> None:
    told: list[tuple[int, int]] = []

    def stop_at_the_third(done: int, total: int) -> None:
        told.append((done, total))
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        map_tiles(noise(64, 64), double, tile=32, overlap=0, scale=2, on_tile=stop_at_the_third)
    assert told == [(0, 4), (1, 4), (2, 4)]
