"""Measure tones and colours: how faded, which cast, and whether there is colour at all."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from relume.builtin.levels import Levels, Mask, luma, shrunk, to_levels, visible
from relume.imaging.photo import Photo

_THUMBNAIL_SIDE = 512  # averaging to this size takes noise out of the percentiles
_BLACK_WHITE_PERCENTILES = (0.5, 99.5)
_PALETTE_SIDE = 128  # and to this, colour noise, which would make a grainy sepia photo a colour photo
_FEWEST_PIXELS = 64
_GREY_CHROMA = 4.0  # levels; the chroma noise of JPEG files of greyscale photos stays below
_WEAKEST_TINT = 3.0
_ONE_HUE_RESIDUAL = 12.0  # levels; sepia photos have 5 to 9, colour photos 20 and more


class Palette(StrEnum):
    MONOCHROME = "monochrome"
    TONED = "toned"
    COLOUR = "colour"


@dataclass(frozen=True, slots=True)
class Tone:
    """`black` and `white`: the 0.5 and 99.5 percentile of each channel (R, G, B or grey), in levels."""

    palette: Palette
    black: tuple[float, ...]
    white: tuple[float, ...]
    luma_black: float
    luma_white: float
    confidence: float

    @property
    def range(self) -> float:
        """Luma levels between black and white: how much of 0-255 the photo uses."""
        return self.luma_white - self.luma_black


def measure_tone(photo: Photo, ignored: Mask | None = None) -> Tone:
    """Tones of the opaque pixels, without those `ignored` ((height, width): scratches, say)."""
    samples = _samples(photo, ignored, _THUMBNAIL_SIDE)
    if len(samples) < _FEWEST_PIXELS:
        flat = (0.0,) * photo.pixels.shape[2], (255.0,) * photo.pixels.shape[2]
        return Tone(Palette.MONOCHROME if photo.is_greyscale else Palette.COLOUR, *flat, 0.0, 255.0, 0.0)
    grey = luma(samples)
    black, white = np.percentile(samples, _BLACK_WHITE_PERCENTILES, axis=0)
    luma_black, luma_white = np.percentile(grey, _BLACK_WHITE_PERCENTILES)
    return Tone(
        palette=_palette(_samples(photo, ignored, _PALETTE_SIDE)),
        black=tuple(map(float, black)),
        white=tuple(map(float, white)),
        luma_black=float(luma_black),
        luma_white=float(luma_white),
        confidence=min(1.0, len(samples) / 10_000),
    )


def chroma(samples: Levels, grey: Levels) -> Levels:
    """(…, 2): red and blue less luma, in levels."""
    return np.stack([samples[..., 0] - grey, samples[..., 2] - grey], axis=-1)


def tone_curve(colours: Levels, grey: Levels) -> NDArray[np.float32]:
    """(256, 2): the usual chroma at each luma level, smoothed. What a toned photo's colour follows."""
    bins = np.clip(grey / 8, 0, 31).astype(int)
    # Black and white themselves have no colour; between them and the tones seen, it fades evenly.
    centres: list[float] = [0]
    medians: list[NDArray[np.float32]] = [np.zeros(2, np.float32)]
    for index in range(32):
        chosen = bins == index
        if np.count_nonzero(chosen) >= 8:
            centres.append(index * 8 + 4)
            medians.append(np.median(colours[chosen], axis=0))
    centres.append(255)
    medians.append(np.zeros(2, np.float32))
    at = np.arange(256)
    curve = np.stack([np.interp(at, centres, np.array(medians)[:, axis]) for axis in (0, 1)], axis=1)
    return curve.astype(np.float32)


def _samples(photo: Photo, ignored: Mask | None, longest_side: int) -> Levels:
    """(pixels, channels): what counts of an area-averaged thumbnail."""
    counted = visible(photo) if ignored is None else visible(photo) & ~ignored
    thumbnail = to_levels(shrunk(photo.pixels, longest_side))
    cover = shrunk(counted.astype(np.uint8)[..., None] * np.uint8(255), longest_side)
    counting: Mask = cover[..., 0] == 255
    samples: Levels = thumbnail[counting]
    return samples


def _palette(samples: Levels) -> Palette:
    if samples.shape[-1] == 1:
        return Palette.MONOCHROME
    if len(samples) < _FEWEST_PIXELS:
        return Palette.COLOUR
    grey = luma(samples)
    colours = chroma(samples, grey)
    strength = np.hypot(*colours.T)
    if np.percentile(strength, 97) < _GREY_CHROMA:
        return Palette.MONOCHROME
    # Toning colours the whole print, brown, red, violet or blue. Green is foliage; a few colours on grey are
    # stars in the night.
    is_tinted = bool(np.median(strength) > _WEAKEST_TINT)
    is_green = bool((np.median(colours, axis=0) < -_GREY_CHROMA).all())
    usual = tone_curve(colours, grey)[np.clip(grey, 0, 255).astype(int)]
    is_one_hue = np.percentile(np.hypot(*(colours - usual).T), 90) < _ONE_HUE_RESIDUAL
    return Palette.TONED if is_tinted and is_one_hue and not is_green else Palette.COLOUR
