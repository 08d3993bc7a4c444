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
