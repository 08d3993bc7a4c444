"""Undo fading and the cast that comes with it.

A faded print has lost its black, and lost it unevenly: each dye fades at its own pace. A small network that has
seen many dyes fade chooses curves for the whole photo.

Where it cannot be loaded, each channel is stretched to its own black and white point. On its own that takes the
colour of evening light for a fault, so the points are pulled a little to their common ones. Grey-world balance
with CLAHE was measured to leave faded photos worse than they were.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from relume.builtin.curves import Curves, choose_curves
from relume.builtin.levels import Levels, from_levels, luma, to_levels
from relume.builtin.measure import Damage
from relume.builtin.nets import NO_NETS, Nets
from relume.builtin.tone import Palette, Tone
from relume.imaging.photo import Photo, Pixels
from relume.imaging.tiles import map_tiles
from relume.ports import RunContext, StepReport

NAME = "balance_colour"
NET = "colour"

_TILE = 1024
_SOUND_BLACK, _FADED_BLACK = 28.0, 45.0  # clean sample photos have 0 to 20
_SOUND_RANGE, _FADED_RANGE = 150.0, 110.0  # clean sample photos have 166 to 254
_JOINT_SHARE = 0.1
_CHROMA_GAIN = 1.1
_LARGEST_GAIN = 2.5
_TARGET_BLACK, _TARGET_WHITE = 4.0, 232.0
_LEAST_AMOUNT = 0.05
_UNSURE, _SURE = 0.85, 0.95  # of untouched held-out photos, two of six come near 0.8
_TRUST = 0.8  # of the way the curves would go; all of it made more photos worse, and the mean no better
_LEAST_EFFECT = 2.5  # levels in the mean; less is not worth a change


@dataclass(frozen=True, slots=True)
class _Mending:
    amount: float
    """0 to 1: how much of the way from the photo to what `work` makes of it."""
    work: Callable[[Pixels], Levels]


def balance(
    photo: Photo, damage: Damage, context: RunContext, nets: Nets = NO_NETS
) -> tuple[Photo, StepReport]:
    """Give back black, white and colour as far as they faded. Raises JobCancelled.

    Colour photos by the network where it is here. Greyscale and toned ones keep their hue: they are stretched,
    all channels alike.
    """
    tone = damage.tone
    net = nets.get(NET) if tone.palette is Palette.COLOUR else None
    curves = None if net is None else choose_curves(photo, damage.scratches.mask, net)
    mending = _stretch(tone) if curves is None else _by_curves(photo, curves, tone)
    figures = f"tones run from {tone.luma_black:.0f} to {tone.luma_white:.0f} of 255"
    if mending.amount < _LEAST_AMOUNT:
        return photo, StepReport(NAME, False, f"The photo has not faded: {figures}.", tone.confidence)

    def mend(tile: Pixels) -> Pixels:
        levels = to_levels(tile)
        return from_levels(levels + np.float32(mending.amount) * (mending.work(tile) - levels), tile.dtype)

    pixels = map_tiles(
        photo.pixels,
        mend,
        tile=_TILE,
        overlap=0,
        on_tile=lambda done, total: context.progress(done / total, NAME),
    )
    how = f"by the network {net.title}" if net is not None and curves is not None else "by stretching"
    what = "tones and colours" if tone.palette is Palette.COLOUR else "tones, keeping their hue,"
    detail = f"Gave back {what} {how}, {100 * mending.amount:.0f} % of the full amount: {figures}."
    excuse = nets.excuse(NET) if net is None and tone.palette is Palette.COLOUR else ""
    return photo.with_pixels(pixels), StepReport(NAME, True, detail + excuse, tone.confidence)


def _by_curves(photo: Photo, curves: Curves, tone: Tone) -> _Mending:
    sure = float(np.clip((curves.sure - _UNSURE) / (_SURE - _UNSURE), 0, 1))
    table = curves.table(photo.pixels.dtype)
    amount = _TRUST * sure * tone.confidence if curves.effect >= _LEAST_EFFECT else 0.0
    return _Mending(amount, lambda tile: curves.apply(tile, table))


def _stretch(tone: Tone) -> _Mending:
    black, white = _points(tone)
    # Never darker than it was. Further up would wash out photos that had no white in them.
    target_white = max(_TARGET_WHITE, tone.luma_white)
    gain = np.minimum((target_white - _TARGET_BLACK) / (white - black), np.float32(_LARGEST_GAIN))
    chroma_gain = _CHROMA_GAIN if tone.palette is Palette.COLOUR else 1.0

    def stretch(tile: Pixels) -> Levels:
        stretched = (to_levels(tile) - black) * gain + np.float32(_TARGET_BLACK)
        if chroma_gain != 1:
            grey = luma(stretched)[..., None]
            stretched = grey + (stretched - grey) * np.float32(chroma_gain)
        return np.asarray(stretched, np.float32)

    return _Mending(_fading(tone), stretch)


def _fading(tone: Tone) -> float:
    """0 for a sound photo, 1 for one that has clearly faded."""
    by_black = (tone.luma_black - _SOUND_BLACK) / (_FADED_BLACK - _SOUND_BLACK)
    by_range = (_SOUND_RANGE - tone.range) / (_SOUND_RANGE - _FADED_RANGE)
    is_flat = tone.range < 2  # one colour all over is no faded photo
    return 0.0 if is_flat else float(np.clip(max(by_black, by_range), 0, 1)) * tone.confidence


def _points(tone: Tone) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Black and white point of each channel."""
    joint_black, joint_white = np.float32(tone.luma_black), np.float32(tone.luma_white)
    if tone.palette is not Palette.COLOUR:
        return np.full(1, joint_black, np.float32), np.full(1, max(joint_white, joint_black + 1), np.float32)
    black = np.array(tone.black, np.float32)
    white = np.array(tone.white, np.float32)
    black += _JOINT_SHARE * (joint_black - black)
    white += _JOINT_SHARE * (joint_white - white)
    return black, np.maximum(white, black + 1)
