"""Small synthetic scenes whose colours are those of photos: skies, foliage, earth, water, skin, cloth, walls.

For colour only: 128 pixels wide, with just enough texture that their histograms look like photos'. Random colours
would teach a network that any colour is as likely as any other.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Canvas = NDArray[np.float32]
Rng = np.random.Generator

SIDE = 128

# sRGB, between a dark and a light one of each thing; a drawn colour lies between the two, and a little off.
_SKIES = (
    ((52, 102, 176), (150, 190, 228)),
    ((96, 140, 190), (205, 220, 235)),
    ((140, 148, 158), (226, 228, 230)),
)
_DUSKS = (((92, 82, 120), (242, 176, 120)), ((40, 52, 96), (230, 140, 104)))
_FOLIAGE = (((24, 40, 16), (98, 128, 52)), ((36, 52, 28), (140, 156, 84)), ((46, 60, 22), (176, 176, 80)))
_EARTH = (((60, 44, 32), (176, 146, 112)), ((92, 84, 76), (190, 184, 172)), ((120, 100, 70), (224, 204, 166)))
_WATER = (((20, 44, 60), (110, 150, 170)), ((40, 60, 56), (150, 170, 160)))
_SNOW = (((150, 164, 186), (250, 250, 252)),)
_WALLS = (
    ((150, 130, 104), (236, 224, 204)),
    ((120, 124, 128), (240, 240, 238)),
    ((84, 54, 36), (178, 128, 88)),
    ((110, 48, 38), (186, 106, 84)),
    ((80, 104, 120), (190, 206, 212)),
    ((90, 108, 78), (196, 204, 172)),
)
_SKIN = (((140, 90, 70), (246, 208, 184)), ((110, 66, 46), (222, 172, 138)), ((48, 28, 20), (150, 100, 74)))
_HAIR = (((14, 10, 10), (62, 44, 36)), ((60, 40, 24), (150, 108, 66)), ((120, 96, 60), (214, 184, 128)))
_CLOTH = (
    ((200, 200, 200), (252, 252, 250)),
    ((10, 10, 14), (60, 60, 66)),
    ((22, 30, 62), (84, 104, 150)),
    ((110, 14, 20), (214, 54, 50)),
    ((20, 66, 40), (90, 150, 100)),
    ((150, 120, 30), (240, 210, 90)),
    ((110, 90, 76), (204, 184, 160)),
    ((120, 50, 90), (230, 150, 180)),
)

_Pair = tuple[tuple[int, int, int], tuple[int, int, int]]


def draw(rng: Rng) -> Image:
    """(128, 128, 3), RGB."""
    canvas = np.empty((SIDE, SIDE, 3), np.float32)
    scene = rng.choice(3, p=(0.5, 0.25, 0.25))
    if scene == 0:
        _landscape(canvas, rng)
    elif scene == 1:
        _room(canvas, rng)
    else:
        _close_up(canvas, rng)
    if rng.random() < 0.5:
        for _ in range(rng.integers(1, 4)):
            _person(canvas, rng)
    return _photographed(canvas, rng)


def _landscape(canvas: Canvas, rng: Rng) -> None:
    horizon = int(SIDE * rng.uniform(0.1, 0.75))
    dark, light = _pair(_DUSKS if rng.random() < 0.12 else _SKIES, rng)
    slope = np.linspace(0, 1, max(horizon, 1), dtype=np.float32)[:, None, None] ** rng.uniform(0.5, 2)
    canvas[:horizon] = dark + slope * (light - dark)
    if rng.random() < 0.6:
        clouds = np.clip(_texture(rng, 2.2) * rng.uniform(0.3, 1.2) + rng.uniform(-0.6, 0.4), 0, 1)
        canvas[:] += (
            clouds[..., None]
            * (np.float32(rng.uniform(200, 255)) - canvas)
            * (np.arange(SIDE) < horizon)[:, None, None]
        )
    ground = (_FOLIAGE, _EARTH, _WATER, _SNOW)[rng.choice(4, p=(0.45, 0.3, 0.17, 0.08))]
    _cover(canvas, _band(horizon, SIDE), ground, rng)
    for _ in range(rng.integers(0, 4)):
        top = int(np.clip(rng.normal(horizon, SIDE / 8), 0, SIDE - 4))
        ridge = top + _texture(rng, 2)[0] * rng.uniform(2, 14)
        mask = (np.arange(SIDE)[:, None] > ridge) & (np.arange(SIDE)[:, None] < horizon + rng.integers(4, 30))
        _cover(canvas, mask, (*_FOLIAGE, *_EARTH, *_WALLS), rng)
    for _ in range(rng.integers(0, 8)):
        things = (*_FOLIAGE, *_FOLIAGE, *_WALLS, *_CLOTH, *_EARTH)
        _cover(canvas, _blob(rng) if rng.random() < 0.5 else _box(rng), things, rng)


def _room(canvas: Canvas, rng: Rng) -> None:
    _cover(canvas, _band(0, SIDE), _WALLS, rng)
    _cover(canvas, _band(int(SIDE * rng.uniform(0.5, 0.9)), SIDE), (*_WALLS, *_EARTH), rng)
    for _ in range(rng.integers(3, 20)):
        things = (*_CLOTH, *_WALLS, *_CLOTH, *_HAIR, *_FOLIAGE)
        _cover(canvas, _box(rng) if rng.random() < 0.6 else _blob(rng), things, rng)
    if rng.random() < 0.3:
        canvas[_box(rng)] = 255  # a window


def _close_up(canvas: Canvas, rng: Rng) -> None:
    behind = (*_FOLIAGE, *_FOLIAGE, *_WALLS, *_EARTH, *_CLOTH, *_SKIES)
    _cover(canvas, _band(0, SIDE), behind, rng)
    for _ in range(rng.integers(0, 6)):
        _cover(canvas, _blob(rng, 50), behind, rng)
    canvas[:] = cv2.GaussianBlur(canvas, (0, 0), float(rng.uniform(1, 8)))
    for _ in range(rng.integers(1, 5)):
        _cover(canvas, _blob(rng, 44), (*_CLOTH, *_FOLIAGE, *_HAIR, *_EARTH, *_SKIN), rng)


def _person(canvas: Canvas, rng: Rng) -> None:
    size = rng.uniform(5, 26)
    x, y = rng.uniform(0.1, 0.9) * SIDE, rng.uniform(0.1, 0.6) * SIDE
    body = (x, y + 3.2 * size), (1.6 * size, 2.4 * size)
    _cover(canvas, _ellipse(*body), _CLOTH, rng)
    _cover(canvas, _ellipse((x, y - 0.3 * size), (size, 1.15 * size)), _HAIR, rng)
    skin = (_SKIN[rng.choice(3, p=(0.5, 0.32, 0.18))],)
    _cover(canvas, _ellipse((x, y), (0.78 * size, size)), skin, rng)
    for side in (-1.5, 1.5):
        _cover(canvas, _ellipse((x + side * size, y + 4 * size), (0.35 * size, 0.5 * size)), skin, rng)


def _cover(canvas: Canvas, mask: NDArray[np.bool_], things: tuple[_Pair, ...], rng: Rng) -> None:
    dark, light = _pair(things, rng)
    middle, spread = rng.uniform(0.2, 0.8), rng.uniform(0.05, 0.4)
    across, down = np.meshgrid(*[np.linspace(-0.5, 0.5, SIDE, dtype=np.float32)] * 2)
    shade = rng.normal(0, 0.35) * across + rng.normal(0, 0.35) * down
    amount = np.clip(middle + spread * _texture(rng, rng.uniform(0.6, 2)) + shade, -0.15, 1.1)[..., None]
    canvas[mask] = (dark + amount * (light - dark))[mask]


def _pair(things: tuple[_Pair, ...], rng: Rng) -> tuple[Canvas, Canvas]:
    dark, light = things[rng.integers(len(things))]
    off = rng.normal(0, 9, 3)
    return (np.asarray(dark, np.float32) + off).astype(np.float32), (
        np.asarray(light, np.float32) + off + rng.normal(0, 6, 3)
    ).astype(np.float32)


def _texture(rng: Rng, power: float) -> Canvas:
    """(128, 128), mean 0, deviation 1."""
    frequency = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE)[None]) + 1 / SIDE
    noise = np.fft.rfft2(rng.standard_normal((SIDE, SIDE))) * frequency**-power
    plane = np.fft.irfft2(noise, (SIDE, SIDE))
    return ((plane - plane.mean()) / plane.std()).astype(np.float32)


def _band(top: int, bottom: int) -> NDArray[np.bool_]:
    rows = np.arange(SIDE)[:, None]
    return np.broadcast_to((rows >= top) & (rows < bottom), (SIDE, SIDE))


def _box(rng: Rng) -> NDArray[np.bool_]:
    left, top = rng.integers(0, SIDE, 2)
    width, height = np.exp(rng.uniform(np.log(4), np.log(70), 2)).astype(int)
    mask = np.zeros((SIDE, SIDE), bool)
    mask[top : top + height, left : left + width] = True
    return mask


def _blob(rng: Rng, largest: float = 30) -> NDArray[np.bool_]:
    centre, sizes = rng.uniform(0, SIDE, 2), np.exp(rng.uniform(np.log(3), np.log(largest), 2))
    return _ellipse((centre[0], centre[1]), (sizes[0], sizes[1])) & (_texture(rng, 1.5) > -1)


def _ellipse(centre: tuple[float, float], radii: tuple[float, float]) -> NDArray[np.bool_]:
    down, across = np.mgrid[:SIDE, :SIDE]
    inside: NDArray[np.bool_] = ((across - centre[0]) / radii[0]) ** 2 + (
        (down - centre[1]) / radii[1]
    ) ** 2 < 1
    return inside


def _photographed(canvas: Canvas, rng: Rng) -> Image:
    """Light and shade over all, a mild tint of the light, detail, and the contrast that photographers choose."""
    light = 1 + rng.uniform(0, 0.35) * _texture(rng, 2) * 0.5
    light = np.clip(light, 0.25, 1.6) * (1 + 0.12 * _texture(rng, 0.4) * rng.uniform(0.1, 1))
    warmth = rng.normal(0, 0.035)
    levels = canvas * light[..., None] * np.array([1 + warmth, 1, 1 - warmth], np.float32)
    if rng.random() < 0.85:
        low, high = np.percentile(levels, (rng.uniform(0, 2), rng.uniform(97.5, 100)))
        black, white = abs(rng.normal(0, 7)), 255 - abs(rng.normal(0, 14))
        levels = black + (levels - low) * ((white - black) / max(high - low, 60))
    return np.clip(np.rint(levels), 0, 255).astype(np.uint8)
