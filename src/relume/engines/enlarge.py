"""A photo through an upscaler, tile by tile, into one array that is filled in place."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from relume.engines.engine import Engine, EngineOptions, Images
from relume.imaging.photo import Photo, Pixels
from relume.imaging.resize import quantised, resize
from relume.imaging.tiles import Array, TiledRun, TilePlan, fill_by_tiles
from relume.ports import RunContext, StepReport

NAME = "upscale"

LARGEST_TILE = 512
"""On a processor, larger tiles are no faster."""
SMALLEST_TILE = 32
_MEGABYTE = 1_000_000
_LUMA = np.array([0.299, 0.587, 0.114], np.float32).reshape(1, 3, 1, 1)


@dataclass(frozen=True, slots=True)
class Upscaler:
    """A loaded model and what is known of it."""

    engine: Engine
    overlap: int
    held_bytes: int
    """By all loaded models together."""
    options: EngineOptions
    on_tiles: Callable[[Array], None] = lambda _tiles: None
    """Is shown each batch of tiles (tiles, height, width, channels) in the photo's dtype."""


def passes(model_scale: int, wanted: int) -> int | None:
    """How often a model has to run for a photo to grow `wanted` times: 0 never happens, None is impossible.

    A model for 4 times makes 2 times and 1 time too: what it makes is averaged down tile by tile.
    """
    if model_scale % wanted == 0:
        return 1
    times = round(math.log(wanted, model_scale)) if model_scale > 1 else 0
    return times if times > 0 and model_scale**times == wanted else None


def enlarge(photo: Photo, scale: int, upscaler: Upscaler, context: RunContext) -> tuple[Photo, StepReport]:
    """`scale` times the width and height, in the photo's channels and bit depth; alpha by Lanczos.

    Beside the photo and the result, memory stays within the options' limit. Raises JobCancelled, and
    MemoryError when not even the smallest tile fits.
    """
    engine, started = upscaler.engine, time.perf_counter()
    times = passes(engine.shape.scale, scale)
    if times is None:
        raise ValueError(f"a model for {engine.shape.scale} times cannot make {scale} times")
    made, runs = photo.pixels, []
    for number in range(times):
        share = context.part(number / times, (number + 1) / times)
        made, run = _once(made, scale if times == 1 else engine.shape.scale, upscaler, share)
        runs.append(run)
    engine.release()
    alpha = None
    if photo.alpha is not None:
        plane = resize(Photo(photo.alpha[:, :, None]), photo.width * scale, photo.height * scale)
        alpha = plane.pixels[:, :, 0]
    report = StepReport(NAME, True, _sentence(engine, scale, runs), 1.0, time.perf_counter() - started)
    return replace(photo, pixels=made, alpha=alpha), report


def tile_side(upscaler: Upscaler) -> int:
    """The longest side, without overlap, whose work fits into the memory that is left."""
    engine, options = upscaler.engine, upscaler.options
    if engine.shape.side is not None:
        step = engine.shape.multiple_of
        return (engine.shape.side - 2 * (-(-upscaler.overlap // step) * step)) // step * step
    if options.tile:
        return options.tile
    left = options.memory_mb * _MEGABYTE - upscaler.held_bytes
    free = engine.free_bytes()
    budget = max(min(left, free / 2) if free else left, 0)
    side = math.isqrt(int(budget / (engine.bytes_per_pixel * engine.batch))) - 2 * upscaler.overlap
    return min(max(side // 16 * 16, SMALLEST_TILE), LARGEST_TILE)


def _once(pixels: Pixels, scale: int, upscaler: Upscaler, context: RunContext) -> tuple[Pixels, TiledRun]:
    height, width, channels = pixels.shape
    output = cast("Pixels", np.empty((height * scale, width * scale, channels), pixels.dtype))
    model = upscaler.engine.shape
    side = tile_side(upscaler)
    plan = TilePlan(
        tile=side,
        overlap=upscaler.overlap,
        scale=scale,
        multiple_of=model.multiple_of,
        batch=upscaler.engine.batch,
        smallest=min(SMALLEST_TILE, side),
    )

    def work(tiles: Array) -> Array:
        upscaler.on_tiles(tiles)
        rows, columns = (side * model.scale for side in tiles.shape[1:3])
        made = upscaler.engine.run(_padded(to_model(tiles), model.side))[:, :, :rows, :columns]
        return from_model(_averaged(made, model.scale // scale), tiles)

    run = fill_by_tiles(
        pixels,
        output,
        work,
        plan,
        is_out_of_memory=upscaler.engine.is_out_of_memory,
        on_tile=lambda fraction: context.progress(fraction, NAME),
    )
    return output, run


def to_model(tiles: Array) -> Images:
    """(n, height, width, 1 or 3) in a photo's dtype as what models take."""
    white = np.float32(np.iinfo(tiles.dtype).max)
    images = tiles.transpose(0, 3, 1, 2).astype(np.float32)
    images /= white
    return images if tiles.shape[3] == 3 else np.repeat(images, 3, axis=1)


def from_model(images: Images, like: Array) -> Array:
    """What a model made, in the channels and dtype of `like`. Greyscale keeps the luma."""
    if like.shape[3] == 1:
        images = np.sum(images * _LUMA, axis=1, keepdims=True)
    values: NDArray[np.float32] = images.transpose(0, 2, 3, 1)
    return quantised(values, like.dtype)


def _averaged(images: Images, factor: int) -> Images:
    if factor == 1:
        return images
    count, channels, height, width = images.shape
    blocks = images.reshape(count, channels, height // factor, factor, width // factor, factor)
    averaged: Images = blocks.mean(axis=(3, 5), dtype=np.float32)
    return averaged


def _padded(images: Images, side: int | None) -> Images:
    """Filled up to the one size that some models take; what is added lies beyond the overlap."""
    if side is None:
        return images
    missing = [(0, 0), (0, 0), *((0, side - have) for have in images.shape[2:])]
    return np.pad(images, missing, mode="edge")


def _sentence(engine: Engine, scale: int, runs: list[TiledRun]) -> str:
    tiles, halvings = sum(run.tiles for run in runs), sum(run.halvings for run in runs)
    sentence = (
        f"Enlarged {scale} times by {engine.shape.architecture} in {engine.precision} on the {engine.device}, "
        f"in {tiles} tile{'s' if tiles > 1 else ''}."
    )
    if halvings:
        sentence += f" Memory ran out: the tile was halved {halvings} times, to {runs[-1].tile} pixels."
    return sentence
