"""A photo through networks that make an image of an image, tile by tile."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import cv2
import numpy as np

from relume.builtin.levels import Levels, from_levels, to_levels
from relume.imaging.photo import Photo, Pixels
from relume.imaging.tiles import Array, TilePlan, fill_by_tiles
from relume.ports import RunContext

TileWork = Callable[[Pixels], Levels]
"""A tile (height, width, 1 or 3) to levels of the same channels, both sides times the scale."""

_SMALLEST_TILE = 32
_FILLED_FROM = 8.0  # pixels around what is visible, as the sigma of the blur that fills
_COLOURS_COUNT_FROM = 16.0  # levels of alpha: below, a pixel's own colour is worth less than its neighbours'


def through(
    photo: Photo,
    work: TileWork,
    context: RunContext,
    step: str,
    *,
    scale: int = 1,
    overlap: int,
    tile: int,
    multiple_of: int = 1,
) -> Pixels:
    """The photo's colours through `work`: (height * scale, width * scale, channels) in its dtype.

    A photo without any colour is worked on in one channel, so that it gets none. What lies under transparent
    pixels is replaced by the colours beside it before a network can look at it. Raises JobCancelled.
    """
    channels = photo.pixels.shape[2]
    source = photo.pixels[..., :1] if is_neutral(photo.pixels) else photo.pixels
    output = cast(
        "Pixels", np.empty((photo.height * scale, photo.width * scale, source.shape[2]), source.dtype)
    )
    plan = TilePlan(
        tile=tile, overlap=overlap, scale=scale, multiple_of=multiple_of, smallest=min(_SMALLEST_TILE, tile)
    )

    def on_tiles(tiles: Array) -> Array:
        return np.stack([from_levels(work(pixels), source.dtype) for pixels in tiles])

    fill_by_tiles(
        without_hidden_colours(source, photo.alpha),
        output,
        on_tiles,
        plan,
        is_out_of_memory=lambda error: isinstance(error, MemoryError),
        on_tile=lambda fraction: context.progress(fraction, step),
    )
    return output if source.shape[2] == channels else cast("Pixels", np.repeat(output, channels, axis=2))


def is_neutral(pixels: Pixels) -> bool:
    """Whether three channels are three times the same."""
    if pixels.shape[2] == 1:
        return False
    sample = pixels[::16, ::16]
    if (sample != sample[..., :1]).any():
        return False
    return bool((pixels == pixels[..., :1]).all())


def without_hidden_colours(pixels: Pixels, alpha: Pixels | None) -> Pixels:
    """The same array where all is visible, else one whose transparent parts go on in the colours beside them."""
    if alpha is None or alpha.min() == np.iinfo(alpha.dtype).max:
        return pixels
    cover = to_levels(alpha)[..., None]
    share = np.minimum(cover / np.float32(_COLOURS_COUNT_FROM), np.float32(1))
    levels = to_levels(pixels)
    spread = _blurred(levels * cover) / np.maximum(_blurred(cover), np.float32(1e-3))
    return from_levels(spread + share * (levels - spread), pixels.dtype)


def _blurred(levels: Levels) -> Levels:
    made = cv2.GaussianBlur(levels, (0, 0), _FILLED_FROM)
    return np.asarray(made, np.float32).reshape(levels.shape)
