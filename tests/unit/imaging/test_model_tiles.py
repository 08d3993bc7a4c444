from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from relume.imaging.tiles import Array, TilePlan, fill_by_tiles


def noise(*shape: int) -> Array:
    return np.random.default_rng(7).integers(0, 256, shape, dtype=np.uint8)


def never(_error: BaseException) -> bool:
    return False


def memory(error: BaseException) -> bool:
    return isinstance(error, MemoryError)


def blurred_double(tiles: Array) -> Array:
    """Depends on 4 pixels around each one. At a border, what it makes is of no use: like a model's padding."""
    return (
        np.stack([cv2.blur(tile, (9, 9), borderType=cv2.BORDER_CONSTANT) for tile in tiles])
        .repeat(2, 1)
        .repeat(2, 2)
    )


def filled(
    pixels: Array,
    plan: TilePlan,
    function: Callable[[Array], Array] = blurred_double,
    out_of_memory: Callable[[BaseException], bool] = never,
) -> tuple[Array, tuple[int, int, int]]:
    output = np.zeros((pixels.shape[0] * plan.scale, pixels.shape[1] * plan.scale, pixels.shape[2]), np.uint8)
    run = fill_by_tiles(pixels, output, function, plan, is_out_of_memory=out_of_memory)
    return output, (run.tiles, run.tile, run.halvings)


def whole(pixels: Array) -> Array:
    blurred = cv2.blur(pixels, (9, 9), borderType=cv2.BORDER_REFLECT_101)
    return np.asarray(blurred).repeat(2, 0).repeat(2, 1)


@pytest.mark.parametrize("shape", [(5, 5, 3), (5, 300, 3), (64, 64, 3), (65, 129, 3), (200, 130, 3)])
@pytest.mark.parametrize(("multiple_of", "batch"), [(1, 1), (4, 1), (1, 3), (8, 2)])
def test_equals_the_whole_photo_reflected_at_its_borders(
    shape: tuple[int, ...], multiple_of: int, batch: int
) -> None:
    pixels = noise(*shape)
    made, _ = filled(pixels, TilePlan(64, 4, 2, multiple_of, batch))
    assert np.array_equal(made, whole(pixels))


def test_an_overlap_below_the_radius_shows() -> None:
    pixels = noise(200, 130, 3)
    assert not np.array_equal(filled(pixels, TilePlan(64, 3, 2))[0], whole(pixels))


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 90, 3), (90, 1, 3), (2, 2, 3)])
def test_photos_smaller_than_the_overlap_are_mirrored_again_and_again(shape: tuple[int, ...]) -> None:
    pixels = noise(*shape)
    made, _ = filled(pixels, TilePlan(64, 40, 2), lambda tiles: tiles.repeat(2, 1).repeat(2, 2))
    assert np.array_equal(made, pixels.repeat(2, 0).repeat(2, 1))


def test_every_tile_has_one_shape_and_starts_at_a_multiple() -> None:
    shapes: set[tuple[int, ...]] = set()
    starts: set[tuple[int, int]] = set()
    pixels = np.arange(101 * 77, dtype=np.uint16).reshape(101, 77, 1)

    def note(tiles: Array) -> Array:
        shapes.add(tiles.shape)
        starts.update((int(tile[8, 8, 0]) // 77 % 4, int(tile[8, 8, 0]) % 77 % 4) for tile in tiles)
        return tiles.repeat(2, 1).repeat(2, 2)

    output = np.zeros((202, 154, 1), np.uint16)
    fill_by_tiles(pixels, output, note, TilePlan(32, 6, 2, multiple_of=4), is_out_of_memory=never)
    assert len(shapes) == 1
    assert all(side % 4 == 0 for side in shapes.pop()[1:3])
    assert starts == {(0, 0)}
    assert np.array_equal(output, pixels.repeat(2, 0).repeat(2, 1))


def test_halves_the_tile_for_what_is_left_when_memory_runs_out() -> None:
    pixels = noise(200, 130, 3)
    given: list[int] = []

    def narrow(tiles: Array) -> Array:
        given.append(tiles.shape[1])
        if len(given) > 2 and tiles.shape[1] > 50:
            raise MemoryError
        return blurred_double(tiles)

    made, (tiles, tile, halvings) = filled(pixels, TilePlan(128, 4, 2), narrow, memory)
    assert np.array_equal(made, whole(pixels))
    assert (tile, halvings) == (32, 2)
    assert tiles == sum(1 for index, side in enumerate(given) if index < 2 or side <= 50)


def test_gives_up_when_the_smallest_tile_does_not_fit() -> None:
    def full(_tiles: Array) -> Array:
        raise MemoryError

    with pytest.raises(MemoryError, match="smallest tile"):
        filled(noise(200, 200, 3), TilePlan(128, 4, 2), full, memory)


def test_any_other_error_ends_the_work() -> None:
    def broken(_tiles: Array) -> Array:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        filled(noise(64, 64, 3), TilePlan(32, 4, 2), broken, memory)


def test_tells_the_share_done_before_each_batch_and_stops_when_told_to() -> None:
    told: list[float] = []

    def stop_at_the_third(fraction: float) -> None:
        told.append(fraction)
        if len(told) == 3:
            raise KeyboardInterrupt

    pixels = noise(64, 64, 3)
    output = np.zeros((128, 128, 3), np.uint8)
    with pytest.raises(KeyboardInterrupt):
        fill_by_tiles(
            pixels,
            output,
            blurred_double,
            TilePlan(32, 4, 2),
            is_out_of_memory=never,
            on_tile=stop_at_the_third,
        )
    assert told == [0.0, 0.25, 0.5]
