"""Work through a large array in overlapping tiles, so that memory stays bounded whatever the photo's size."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Tile:
    """One tile: what to read (`outer`, with overlap) and the part of it that counts (`inner`)."""

    outer: tuple[slice, slice]
    inner: tuple[slice, slice]

    def cropped(self, result: Array, scale: int) -> Array:
        """The part of `result` (made from `outer`, enlarged by `scale`) that belongs to `inner`."""
        rows, columns = (
            slice((inner.start - outer.start) * scale, (inner.stop - outer.start) * scale)
            for outer, inner in zip(self.outer, self.inner, strict=True)
        )
        return result[rows, columns]


def tile_grid(height: int, width: int, *, tile: int, overlap: int) -> list[Tile]:
    """Tiles whose inner parts, at most `tile` on a side, cover the area once; outer parts stay inside it."""
    return [
        Tile(outer=(outer_rows, outer_columns), inner=(rows, columns))
        for rows, outer_rows in _spans(height, tile, overlap)
        for columns, outer_columns in _spans(width, tile, overlap)
    ]


def map_tiles(
    pixels: Array,
    function: Callable[[Array], Array],
    *,
    tile: int,
    overlap: int,
    scale: int = 1,
    on_tile: Callable[[int, int], None] | None = None,
) -> Array:
    """Apply `function` tile by tile and put the results together.

    `pixels`: (height, width) or (height, width, channels). `function` takes a tile with its overlap and
    returns it with both sides times `scale`; the overlap is cut off, so for a filter whose radius is at most
    `overlap` the result equals the untiled one. The output has the dtype of the first tile's result.
    `on_tile(done, total)` is called before each tile, and may raise to stop the work.
    """
    grid = tile_grid(pixels.shape[0], pixels.shape[1], tile=tile, overlap=overlap)
    output: Array | None = None
    for done, part in enumerate(grid):
        if on_tile is not None:
            on_tile(done, len(grid))
        result = function(pixels[part.outer])
        if output is None:
            shape = (pixels.shape[0] * scale, pixels.shape[1] * scale, *result.shape[2:])
            output = np.empty(shape, result.dtype)
        rows, columns = (slice(inner.start * scale, inner.stop * scale) for inner in part.inner)
        output[rows, columns] = part.cropped(result, scale)
    assert output is not None, "a photo has at least one pixel"  # noqa: S101
    return output


def _spans(length: int, tile: int, overlap: int) -> Iterator[tuple[slice, slice]]:
    """Inner and outer span of each tile along one side. Inner spans start at multiples of `tile`."""
    for start in range(0, length, tile):
        stop = min(start + tile, length)
        yield slice(start, stop), slice(max(0, start - overlap), min(length, stop + overlap))


# --- Tiles for models: one shape, reflection at the borders, halved when memory runs out ------------------


@dataclass(frozen=True, slots=True)
class TilePlan:
    """How a model works through a photo. All lengths in input pixels."""

    tile: int
    """Longest side of a tile without its overlap."""
    overlap: int
    """How far a model's output depends on its input: with it, the tiled result equals the untiled one."""
    scale: int
    """Sides of the output, times the input's."""
    multiple_of: int = 1
    """Sides a model takes. Tiles start at multiples of it too, so that a model that shuffles pixels into
    blocks finds the same blocks as in the whole photo."""
    batch: int = 1
    """Tiles handed over at once."""
    smallest: int = 32
    """A tile that does not fit at this size does not fit at all."""


@dataclass(frozen=True, slots=True)
class TiledRun:
    """What working through a photo took."""

    tiles: int
    tile: int
    """The size in the end."""
    halvings: int


Area = tuple[slice, slice]
BatchFunction = Callable[[Array], Array]
"""(tiles, height, width, channels) in the photo's dtype to the same, both sides times the scale, in the dtype of
the output."""


def fill_by_tiles(
    pixels: Array,
    output: Array,
    function: BatchFunction,
    plan: TilePlan,
    *,
    is_out_of_memory: Callable[[BaseException], bool],
    on_tile: Callable[[float], None] = lambda _fraction: None,
) -> TiledRun:
    """Write a model's result for `pixels` (height, width, channels) into `output`, tile by tile.

    Beyond the borders the photo is reflected. All tiles of a run have one shape, so that a compiled model
    is never specialised twice. When `function` runs out of memory, the tile is halved for what is left.
    `on_tile` is told the share done before each batch, and may raise to stop the work. Raises MemoryError
    when the smallest tile does not fit.
    """
    overlap = _up(plan.overlap, plan.multiple_of)
    tile, halvings, tiles, done = _up(plan.tile, plan.multiple_of), 0, 0, 0
    height, width = pixels.shape[:2]
    waiting: list[Area] = [(slice(0, height), slice(0, width))]
    waiting, shape = _divided(waiting, tile, plan.multiple_of)
    while waiting:
        on_tile(done / (height * width))
        now = waiting[: plan.batch]
        try:
            made = function(np.stack([_reflected(pixels, area, shape, overlap) for area in now]))
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            if tile // 2 < plan.smallest:
                raise MemoryError("The smallest tile does not fit into memory.") from error
            tile, halvings = _up(tile // 2, plan.multiple_of), halvings + 1
            waiting, shape = _divided(waiting, tile, plan.multiple_of)
            continue
        for area, result in zip(now, made, strict=True):
            _place(output, area, result, overlap, plan.scale)
        del made, result
        waiting = waiting[len(now) :]
        tiles += len(now)
        done += sum(_size(area) for area in now)
    return TiledRun(tiles, tile, halvings)


def _divided(areas: list[Area], tile: int, multiple_of: int) -> tuple[list[Area], tuple[int, int]]:
    """The areas in parts of at most `tile` on a side, as even as can be, and the largest part's sides."""
    parts = [
        (rows, columns)
        for area in areas
        for rows in _even(area[0], tile, multiple_of)
        for columns in _even(area[1], tile, multiple_of)
    ]
    height, width = (max(part[axis].stop - part[axis].start for part in parts) for axis in (0, 1))
    return parts, (_up(height, multiple_of), _up(width, multiple_of))


def _even(span: slice, tile: int, multiple_of: int) -> Iterator[slice]:
    length = span.stop - span.start
    count = -(-length // tile)
    step = _up(-(-length // count), multiple_of)
    for start in range(span.start, span.stop, step):
        yield slice(start, min(start + step, span.stop))


def _reflected(pixels: Array, area: Area, shape: tuple[int, int], overlap: int) -> Array:
    """`shape` pixels from the area's corner on with `overlap` around them, mirrored where the photo ends."""
    rows, columns = (
        _mirrored(span.start - overlap, span.start + side + overlap, length)
        for span, side, length in zip(area, shape, pixels.shape[:2], strict=True)
    )
    inside: Array = pixels[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    if len(rows) == inside.shape[0] and len(columns) == inside.shape[1]:
        return inside
    return inside[np.ix_(rows - rows.min(), columns - columns.min())]


def _mirrored(start: int, stop: int, length: int) -> NDArray[np.intp]:
    """Indices `start` to `stop` of a line of `length` pixels, mirrored at both ends without repeating them."""
    if length == 1:
        return np.zeros(stop - start, np.intp)
    folded = np.arange(start, stop) % (2 * length - 2)
    return np.minimum(folded, 2 * length - 2 - folded)


def _place(output: Array, area: Area, result: Array, overlap: int, scale: int) -> None:
    rows, columns = (slice(span.start * scale, span.stop * scale) for span in area)
    inner = tuple(slice(overlap * scale, overlap * scale + (span.stop - span.start) * scale) for span in area)
    output[rows, columns] = result[inner]


def _size(area: Area) -> int:
    return int((area[0].stop - area[0].start) * (area[1].stop - area[1].start))


def _up(value: int, multiple_of: int) -> int:
    """The next multiple."""
    return -(-value // multiple_of) * multiple_of
