"""Turn a photo into a cartoon: smooth colours in few tones, lines along edges, and paint's texture.

Everything that looks at neighbours happens at a working size, on smooth fields; what makes crisp steps and
strokes of them is pointwise, and happens at the full size in strips. So outlines stay sharp at any size, and
memory stays bounded.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from relume.builtin.cartoon_colours import (
    Texture,
    Tones,
    coverage,
    from_opponent,
    palette,
    smoothed,
    texture,
    to_opponent,
    tone_curve,
    with_density,
    with_plain_chroma,
)
from relume.builtin.cartoon_lines import Pen, line_strength
from relume.builtin.denoise import denoise
from relume.builtin.inpaint import repair
from relume.builtin.levels import Levels, from_levels, shrunk, to_levels
from relume.builtin.measure import Damage
from relume.builtin.tone import Palette
from relume.errors import InvalidParameter
from relume.imaging.photo import Photo, Pixels
from relume.ports import RunContext, StepReport

NAME = "cartoonify"

_LARGEST_SIDE = 1600
_LEAST_SIDE = 1200  # smaller photos are drawn larger, then averaged: lines want pixels to be smooth in
_LARGEST_FACTOR = 4
_STRIP_ROWS = 256
_PLAIN_CHROMA = 9.0  # thousandths of the longer side; in a palette, smaller spots have no hue of their own
_LINE_SMOOTHING, _LINE_CONTRAST = 2.5, 18.0  # thousandths of the longer side; levels


@dataclass(frozen=True, slots=True)
class Style:
    """Every parameter of a look. Lengths are in thousandths of the photo's longer side."""

    description: str
    tones: Tones
    smoothing: float
    """Standard deviation of the smoothing."""
    contrast: float
    """Levels between colours that are smoothed into one."""
    saturation: float
    pen: Pen | None = None
    ink: float = 0.0
    """Opacity of the lines, 0 to 1."""
    colours: int | None = None
    """Of the palette; None for all colours."""
    texture: Texture | None = None
    pooling: float = 0.0
    """Density that paint gains where it dries last, at the edges of regions."""


_STYLES = MappingProxyType(
    {
        "comic": Style(
            description="flat colours and bold black lines",
            tones=Tones(count=7, softness=0.34, black=6, white=253),
            smoothing=4.5,
            contrast=28,
            saturation=1.3,
            pen=Pen(width=1.15, faintest=2.5, full=5.5, strongest_at_least=5.5, shortest=45),
            ink=0.95,
        ),
        "soft": Style(
            description="watercolour on light paper",
            tones=Tones(count=5, softness=0.7, black=40, white=255, key=0.68),
            smoothing=5.0,
            contrast=30,
            saturation=1.2,
            pen=Pen(width=0.8, faintest=3.0, full=10.0, strongest_at_least=6.0, shortest=50),
            ink=0.3,
            texture=Texture(amount=0.09, fine=0.8, stretch=1),
            pooling=0.6,
        ),
        "sketch": Style(
            description="pencil lines and shading on white paper",
            tones=Tones(count=5, softness=0.6, black=110, white=255, key=0.72),
            smoothing=2.5,
            contrast=18,
            saturation=0.0,
            pen=Pen(width=0.9, faintest=1.5, full=7.0, strongest_at_least=4.0, shortest=30),
            ink=0.85,
            texture=Texture(amount=0.35, fine=0.7, stretch=18),
        ),
        "poster": Style(
            description="a few flat colours without lines",
            tones=Tones(count=8, softness=1.0, black=10, white=252),
            smoothing=2.5,
            contrast=24,
            saturation=1.3,
            colours=20,
        ),
    }
)
STYLES: tuple[str, ...] = tuple(_STYLES)


@dataclass(frozen=True, slots=True, eq=False)
class _Drawing:
    """The fields at working size. All but `curve` and `colours` are (height, width[, n]) arrays."""

    opponent: NDArray[Any]
    curve: NDArray[np.float32]
    colours: NDArray[np.float32] | None
    """(n, channels): the palette in levels, if the style has one; `opponent` is then its coverage."""
    ink: Levels | None
    """Line strength."""
    density: Levels | None


def cartoonify(photo: Photo, style: str, context: RunContext) -> tuple[Photo, StepReport]:
    """The photo drawn in one of `STYLES`: same size, channels, bit depth and alpha.

    Monochrome and toned photos gain no colour. Raises InvalidParameter for an unknown style, and
    JobCancelled.
    """
    look = _STYLES.get(style)
    if look is None:
        raise InvalidParameter(f"The style must be one of {', '.join(STYLES)}.")
    context.progress(0.0, NAME)
    small = _without_hidden(replace(photo, pixels=shrunk(photo.pixels, _LARGEST_SIDE)), photo)
    damage = Damage(small)
    if damage.tone.palette is not Palette.COLOUR:
        look = replace(look, saturation=min(look.saturation, 1.0))
    # What damage left would be drawn like everything else.
    whole, _ = repair(small, damage, context.part(0.15, 0.25))
    clean, _ = denoise(whole, damage, context.part(0.25, 0.35))
    drawing = _draw(to_levels(clean.pixels), look, context.part(0.35, 0.8))
    pixels = _finish(drawing, look, photo, context.part(0.8, 1.0))
    detail = f"Drawn in the style {style}: {look.description}."
    return photo.with_pixels(pixels), StepReport(NAME, True, detail, 1.0)


def _draw(levels: Levels, look: Style, context: RunContext) -> _Drawing:
    opponent = to_opponent(_at_working_size(levels))
    unit = max(opponent.shape[:2]) / 1000
    opponent = smoothed(opponent, _LINE_SMOOTHING * unit, _LINE_CONTRAST)
    context.progress(0.3, NAME)
    # Lines come from what is smoothed a little: more would take mouths and eyelids out of small faces.
    detailed = np.ascontiguousarray(opponent[..., 0])
    ink = None if look.pen is None else line_strength(detailed, look.pen, unit)
    context.progress(0.6, NAME)
    opponent = smoothed(opponent, look.smoothing * unit, look.contrast)
    context.progress(0.9, NAME)
    grey = np.ascontiguousarray(opponent[..., 0])
    curve = tone_curve(grey, look.tones)
    density = _density(grey, look, unit)
    if look.colours is None:
        return _Drawing(opponent, curve, None, ink, density)
    opponent = with_plain_chroma(opponent, _PLAIN_CHROMA * unit)
    centres = palette(opponent, look.colours)
    colours = _toned(centres[None], curve, look.saturation)[0]
    return _Drawing(coverage(opponent, centres, unit), curve, colours, ink, density)


def _density(grey: Levels, look: Style, unit: float) -> Levels | None:
    if look.texture is None:
        return None
    density = texture(grey.shape, look.texture, unit)
    if look.pooling:
        wide = cv2.GaussianBlur(grey, (0, 0), 3 * unit)
        edge = np.abs(grey - wide) / np.float32(40)
        density += np.float32(look.pooling) * np.minimum(edge, 1)
    return density


def _finish(drawing: _Drawing, look: Style, photo: Photo, context: RunContext) -> Pixels:
    height, width = drawing.opponent.shape[:2]
    if width < photo.width or height < photo.height:
        height, width = photo.height, photo.width
    is_larger = (height, width) != (photo.height, photo.width)
    painted = np.empty(
        (height, width, photo.pixels.shape[2]), np.float32 if is_larger else photo.pixels.dtype
    )
    for top in range(0, height, _STRIP_ROWS):
        context.progress(top / height, NAME)
        rows = slice(top, min(top + _STRIP_ROWS, height))
        strip = _paint(_enlarged(drawing, rows, height, width), look)
        painted[rows] = strip if is_larger else from_levels(strip, photo.pixels.dtype)
    if not is_larger:
        return painted
    averaged = cv2.resize(painted, (photo.width, photo.height), interpolation=cv2.INTER_AREA)
    return from_levels(np.asarray(averaged, np.float32).reshape(photo.pixels.shape), photo.pixels.dtype)


def _paint(drawing: _Drawing, look: Style) -> Levels:
    """(height, width, channels) in levels, from the fields alone, pixel by pixel."""
    if drawing.colours is None:
        levels = _toned(drawing.opponent, drawing.curve, look.saturation)
    else:
        share = np.square(np.square(drawing.opponent / np.float32(255)))  # Outlines about a pixel wide.
        share /= np.maximum(share.sum(axis=2, keepdims=True), np.float32(1e-9))
        levels = share @ drawing.colours
    if drawing.density is not None:
        levels = np.clip(with_density(levels, drawing.density), 0, 255)
    if drawing.ink is not None and look.pen is not None:
        opacity = np.clip((drawing.ink - look.pen.faintest) / (look.pen.full - look.pen.faintest), 0, 1)
        levels = levels * (np.float32(1) - np.float32(look.ink) * opacity.astype(np.float32)[..., None])
    return levels


def _toned(opponent: Levels, curve: NDArray[np.float32], saturation: float) -> Levels:
    grey = np.interp(opponent[..., 0], np.linspace(0, 255, len(curve)), curve).astype(np.float32)
    toned = np.concatenate([grey[..., None], opponent[..., 1:] * np.float32(saturation)], axis=2)
    levels: Levels = np.clip(from_opponent(toned), 0, 255)
    return levels


def _at_working_size(levels: Levels) -> Levels:
    height, width, channels = levels.shape
    factor = min(_LEAST_SIDE / max(height, width), _LARGEST_FACTOR)
    if factor <= 1:
        return levels
    size = max(width, round(width * factor)), max(height, round(height * factor))
    large = cv2.resize(levels, size, interpolation=cv2.INTER_CUBIC)
    return np.clip(np.asarray(large, np.float32), 0, 255).reshape(size[1], size[0], channels)


def _enlarged(drawing: _Drawing, rows: slice, height: int, width: int) -> _Drawing:
    """The given rows of the drawing at `width` x `height`."""

    def part(field: NDArray[Any]) -> Levels:
        if field.shape[:2] == (height, width):
            return field[rows].astype(np.float32, copy=False)
        across, down = field.shape[1] / width, field.shape[0] / height
        # Pixel centres onto pixel centres.
        matrix = np.array([[across, 0, across / 2 - 0.5], [0, down, (rows.start + 0.5) * down - 0.5]])
        size = width, rows.stop - rows.start
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        large = cv2.warpAffine(field, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(large, np.float32).reshape(size[1], size[0], *field.shape[2:])

    return replace(
        drawing,
        opponent=part(drawing.opponent),
        ink=None if drawing.ink is None else part(drawing.ink),
        density=None if drawing.density is None else part(drawing.density),
    )


def _without_hidden(small: Photo, photo: Photo) -> Photo:
    """`small` with its transparent pixels in the colours around them: what they hide draws no lines."""
    if photo.alpha is None:
        return small
    alpha = shrunk(photo.alpha[..., None], _LARGEST_SIDE)[..., 0]
    hidden = alpha == 0
    if not hidden.any():
        return replace(small, alpha=alpha)
    shown = (~hidden).astype(np.float32)[..., None]
    sigma = max(small.pixels.shape) / 30
    levels = to_levels(small.pixels)
    around = cv2.GaussianBlur(np.concatenate([levels * shown, shown], axis=2), (0, 0), sigma)
    around = around[..., :-1] / np.maximum(around[..., -1:], np.float32(1e-6))
    pixels = from_levels(np.where(hidden[..., None], around, levels), small.pixels.dtype)
    return replace(small, pixels=pixels, alpha=alpha)
