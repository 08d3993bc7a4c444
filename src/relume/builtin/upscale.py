"""Enlarge by a whole factor: by a network, or by Lanczos, corrected and held from ringing.

The network doubles the sides, and is told how noisy and compressed the photo is. It runs twice for 4 times and
more, but only once on a photo with damage, whose traces it would take for detail in the second run.

Without a network: iterative back-projection after Irani & Peleg, "Improving resolution by image registration"
(1991). On five photos shrunk to half by area: Lanczos 30.4 dB, back-projection 30.6, with the clamp 30.7;
iterations beyond three add nothing.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from relume.builtin.inference import through
from relume.builtin.levels import Levels, from_levels, to_levels
from relume.builtin.net import CLEAN, Controls, Net
from relume.builtin.nets import NO_NETS, Nets
from relume.errors import InvalidParameter
from relume.imaging.photo import Photo, Pixels
from relume.imaging.tiles import map_tiles
from relume.ports import RunContext, StepReport

NAME = "upscale"
NET = "upscale2"

_TILE = 512
_NET_TILE = 256
_FIRST_SHARE, _SECOND_SHARE = 0.75, 0.4
"""Of the network in the result on clean photos, the rest is back-projection's. On six photos, one of them soft,
with a network that was trained for a third of its time: 30.5 dB, the network alone 29.9, back-projection 30.2."""
_OVERLAP = 16
_ITERATIONS = 3
_LEEWAY = 0.05  # of the local contrast: how far a pixel may leave its neighbours' range


def upscale(
    photo: Photo, scale: int, context: RunContext, controls: Controls = CLEAN, nets: Nets = NO_NETS
) -> tuple[Photo, StepReport]:
    """Width and height times `scale`, exactly; alpha too. `controls`: what was measured of the photo.

    Memory beyond the input and the output stays below 500 MB up to 4 times. Raises InvalidParameter when
    `scale` is below 1, and JobCancelled.
    """
    if scale < 1:
        raise InvalidParameter("The scale must be 1 or more.")
    if scale == 1:
        return photo, StepReport(NAME, False, "No enlargement was asked for.", 1.0)
    net = nets.pick(NET, photo.width * photo.height * scale**2 / 1e6)
    excuse = nets.excuse(NET) if net is None else ""
    if net is None:
        result, how = _by_back_projection(photo, scale, context), ""
    else:
        result, how = _by_net(photo, scale, net, controls, context), f" by the network {net.title}"
    sizes = f"from {photo.width} x {photo.height} to {result.width} x {result.height}"
    detail = f"Enlarged {scale} times{how}, {sizes}.{excuse}"
    return result, StepReport(NAME, True, detail, 1.0)


def _by_net(photo: Photo, scale: int, net: Net, controls: Controls, context: RunContext) -> Photo:
    runs = 2 if scale >= 2 * net.card.scale and controls == CLEAN else 1
    is_deep = photo.pixels.dtype == np.uint16

    def enlarge(tile: Pixels) -> Levels:
        made = net.levels(tile, controls)
        if controls == CLEAN:
            made = _steadied(made, to_levels(tile), _FIRST_SHARE)
        if runs == 2:
            small = np.clip(made, 0, 255)
            made = _steadied(net.levels(small, exact=is_deep), small, _SECOND_SHARE)
        return _resized(made, net.card.scale**runs, scale)

    pixels = through(
        photo,
        enlarge,
        context,
        NAME,
        scale=scale,
        overlap=net.card.reach * runs + _OVERLAP,
        tile=_NET_TILE,
        multiple_of=net.card.multiple_of,
    )
    alpha = None
    if photo.alpha is not None:
        alpha = _by_back_projection(Photo(photo.alpha[..., None]), scale, None).pixels[..., 0]
    return replace(photo, pixels=pixels, alpha=alpha)


def _steadied(made: Levels, levels: Levels, share: float) -> Levels:
    """What a network made of clean levels, mixed with what needs no training, so that it shrinks back to them.

    A photo that is soft by itself is where a network errs most, and where back-projection is right.
    """
    height, width = levels.shape[:2]
    size = made.shape[1], made.shape[0]
    mixed = np.float32(share) * made + np.float32(1 - share) * back_project(levels, size[0] // width)
    missing = levels - cv2.resize(mixed, (width, height), interpolation=cv2.INTER_AREA).reshape(levels.shape)
    change = np.asarray(cv2.resize(missing, size, interpolation=cv2.INTER_LINEAR), np.float32)
    return np.asarray(mixed + change.reshape(made.shape), np.float32)


def _resized(levels: Levels, made: int, wanted: int) -> Levels:
    """Levels that were enlarged `made` times, as if they had been `wanted` times."""
    if made == wanted:
        return levels
    if wanted % made == 0:
        return back_project(levels, wanted // made)
    height, width, channels = levels.shape
    size = width // made * wanted, height // made * wanted
    how = cv2.INTER_AREA if made > wanted else cv2.INTER_LANCZOS4
    return np.asarray(cv2.resize(levels, size, interpolation=how), np.float32).reshape(*size[::-1], channels)


def _by_back_projection(photo: Photo, scale: int, context: RunContext | None) -> Photo:
    """Without a context, nobody is told how far it is."""
    enlarged = map_tiles(
        _with_alpha(photo),
        lambda tile: _enlarge_tile(tile, scale, has_alpha=photo.alpha is not None),
        tile=_TILE,
        overlap=_OVERLAP,
        scale=scale,
        on_tile=None if context is None else lambda done, total: context.progress(done / total, NAME),
    )
    channels = photo.pixels.shape[2]
    alpha = enlarged[..., channels] if photo.alpha is not None else None
    return replace(photo, pixels=enlarged[..., :channels], alpha=alpha)


def back_project(levels: Levels, scale: int) -> Levels:
    """(height, width, channels) to `scale` times the height and width, in levels."""
    height, width, channels = levels.shape
    size = width * scale, height * scale
    result: Levels = np.asarray(cv2.resize(levels, size, interpolation=cv2.INTER_LANCZOS4), np.float32)
    for _ in range(_ITERATIONS):
        shrunk = cv2.resize(result, (width, height), interpolation=cv2.INTER_AREA)
        missing = levels - shrunk.reshape(levels.shape)
        result += np.asarray(cv2.resize(missing, size, interpolation=cv2.INTER_LINEAR), np.float32)
    low, high = _local_range(levels, size)
    return np.clip(result, low, high, out=result).reshape(size[1], size[0], channels)


def _local_range(levels: Levels, size: tuple[int, int]) -> tuple[Levels, Levels]:
    kernel = np.ones((3, 3), np.uint8)
    low, high = cv2.erode(levels, kernel), cv2.dilate(levels, kernel)
    leeway = np.float32(_LEEWAY) * (high - low)
    return (
        cv2.resize(low - leeway, size, interpolation=cv2.INTER_LINEAR).astype(np.float32),
        cv2.resize(high + leeway, size, interpolation=cv2.INTER_LINEAR).astype(np.float32),
    )


def _with_alpha(photo: Photo) -> Pixels:
    if photo.alpha is None:
        return photo.pixels
    stacked: Pixels = np.concatenate([photo.pixels, photo.alpha[..., None]], axis=2)
    return stacked


def _enlarge_tile(tile: Pixels, scale: int, *, has_alpha: bool) -> Pixels:
    levels = to_levels(tile)
    if not has_alpha:
        return from_levels(back_project(levels, scale), tile.dtype)
    # Colours weighted by alpha: what lies under transparent pixels must not bleed into a visible edge.
    levels[..., :-1] *= levels[..., -1:] / np.float32(255)
    large = back_project(levels, scale)
    # Not clipped before the division: where alpha overshoots, the colours overshoot with it.
    large[..., :-1] /= np.maximum(large[..., -1:] / np.float32(255), np.float32(1e-6))
    return from_levels(large, tile.dtype)
