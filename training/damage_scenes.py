"""Scenes to put damage on: dead leaves, and among them much that looks like damage and is none.

Dead leaves after Achddou, Gousseau, Ladjal, "Fully synthetic training for image restoration tasks" (2023):
opaque shapes whose radii follow a power law occlude each other, as the things of a photo do. Hair, branches,
wires, railings, stripes, window frames, writing and highlights lie between the leaves: they are occluded, and
seen through the scene's own lens, which damage to the print is not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Rng = np.random.Generator
Image = NDArray[Any]
"""(height, width, 3), 0 to 255, as floats."""
Canvas = NDArray[Any]
"""The same as 8-bit integers."""

_OVERSAMPLING = 2
_FIXED_POINT_BITS = 4


def draw_scene(rng: Rng, side: int) -> Image:
    """One scene of `side` x `side` pixels, drawn larger and averaged down."""
    large = side * _OVERSAMPLING
    palette = _palette(rng)
    # 8 bits: OpenCV smooths the edges of what it draws in no other depth.
    canvas: Canvas = _shaded(rng, large, large, _pick(rng, palette)).astype(np.uint8)
    count = int(np.exp(rng.uniform(np.log(40), np.log(900))))
    alpha, smallest = rng.uniform(2.0, 3.2), rng.uniform(4, 14)
    largest = large * rng.uniform(0.1, 0.45)
    extras = sorted(rng.integers(0, count + 1, rng.integers(1, 7)).tolist())
    blurred_at = int(count * rng.uniform(0.3, 0.9)) if rng.random() < 0.4 else -1
    # Large first: the small ones that come last stay visible.
    radii = np.sort(_radii(rng, count, alpha, smallest, largest))[::-1]
    for index, radius in enumerate(radii * rng.uniform(0.6, 1.6, count)):
        if index == blurred_at:
            canvas = cv2.GaussianBlur(canvas, (0, 0), rng.uniform(1.5, 8))
        while extras and extras[0] <= index:
            extras.pop(0)
            _NEGATIVES[rng.integers(len(_NEGATIVES))](rng, canvas, palette)
        _leaf(rng, canvas, radius, palette)
    for _ in range(rng.integers(0, 3)):
        _NEGATIVES[rng.integers(len(_NEGATIVES))](rng, canvas, palette)
    small: Image = cv2.resize(canvas, (side, side), interpolation=cv2.INTER_AREA).astype(np.float32)
    if rng.random() < 0.75:  # the lens
        small = cv2.GaussianBlur(small, (0, 0), rng.uniform(0.3, 1.4))
    if rng.random() < 0.3:
        small += rng.uniform(0.3, 1.0) * (small - cv2.GaussianBlur(small, (0, 0), rng.uniform(0.8, 1.6)))
    return _stretched(rng, small)


def _stretched(rng: Rng, image: Image) -> Image:
    low, high = np.percentile(image, (0.5, 99.5))
    black, white = rng.uniform(0, 25), rng.uniform(200, 255)
    result: Image = np.clip((image - low) / max(high - low, 1) * (white - black) + black, 0, 255)
    return result.astype(np.float32)


def _palette(rng: Rng) -> Image:
    """(colours, 3): a few hues, as one place has them, from dark to light."""
    hues = rng.uniform(0, 180, rng.integers(1, 5))
    count = rng.integers(6, 24)
    hsv = np.stack(
        [
            (rng.choice(hues, count) + rng.normal(0, 8, count)) % 180,
            np.clip(rng.beta(1.2, 2.2, count) * 255, 0, 255),
            np.clip(rng.beta(1.3, 1.3, count) * 255, 4, 255),
        ],
        axis=-1,
    )
    rgb: Image = cv2.cvtColor(hsv[None].astype(np.uint8), cv2.COLOR_HSV2RGB)[0].astype(np.float32)
    return rgb


def _pick(rng: Rng, palette: Image) -> Image:
    colour: Image = np.clip(palette[rng.integers(len(palette))] + rng.normal(0, 8, 3), 0, 255)
    return colour.astype(np.float32)


def _radii(rng: Rng, count: int, alpha: float, smallest: float, largest: float) -> Image:
    """Density proportional to radius ** -alpha between the two limits."""
    power = 1 - alpha
    drawn = rng.random(count) * (largest**power - smallest**power) + smallest**power
    radii: Image = drawn ** (1 / power)
    return radii


def smooth_noise(rng: Rng, height: int, width: int, cell: float) -> Image:
    """(height, width), about -1 to 1, whose bumps are `cell` pixels wide."""
    rows, columns = max(2, round(height / cell) + 1), max(2, round(width / cell) + 1)
    coarse = rng.normal(0, 0.5, (rows, columns)).astype(np.float32)
    fine: Image = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return fine


def _texture(rng: Rng, height: int, width: int) -> Image:
    """(height, width, 1) to add: cloth, grass, skin, plaster; nothing for a smooth thing."""
    kind = rng.random()
    if kind < 0.2:
        return np.zeros((height, width, 1), np.float32)
    strength = rng.uniform(3, 40) if rng.random() < 0.7 else rng.uniform(20, 70)
    if kind < 0.6:
        field = smooth_noise(rng, height, width, np.exp(rng.uniform(0.6, 3.5)))
        field += 0.6 * smooth_noise(rng, height, width, np.exp(rng.uniform(0.6, 2)))
        return (field * strength)[..., None]
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    angle, period = rng.uniform(0, np.pi), np.exp(rng.uniform(1.6, 4))
    bent = rng.uniform(0, period) * smooth_noise(rng, height, width, rng.uniform(20, 120))
    wave = np.sin((rows * np.sin(angle) + columns * np.cos(angle) + bent) * 2 * np.pi / period)
    sharpened = np.tanh(wave * rng.uniform(0.5, 6))
    if kind > 0.85:  # checks
        sharpened *= np.sin((rows * np.cos(angle) - columns * np.sin(angle)) * 2 * np.pi / period)
    if kind > 0.95:  # sparse: thin stripes far apart, hairs combed one way
        sharpened = np.maximum(wave - rng.uniform(0.7, 0.95), 0) * 8
    result: Image = (sharpened * strength)[..., None].astype(np.float32)
    return result


def _shaded(rng: Rng, height: int, width: int, colour: Image) -> Image:
    """A surface of one colour, unevenly lit and textured."""
    rows, columns = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
    slope = rng.normal(0, 22, 2)
    light = slope[0] * rows + slope[1] * columns
    if rng.random() < 0.35:  # round things
        light += rng.uniform(-60, 60) * (rows**2 + columns**2)
    surface: Image = colour + light[..., None] + _texture(rng, height, width)
    return np.clip(surface, 0, 255).astype(np.float32)


def _outline(rng: Rng, radius: float) -> NDArray[Any]:
    """(points, 2) around 0: ellipse, polygon, rectangle or blob."""
    kind = rng.random()
    if kind < 0.3:
        angles, stretch = np.linspace(0, 2 * np.pi, 40, endpoint=False), rng.uniform(0.3, 1)
        points = np.stack([np.cos(angles), stretch * np.sin(angles)], axis=1)
    elif kind < 0.5:
        angles = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(3, 8)))
        points = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    elif kind < 0.75:
        half = rng.uniform(0.08, 1)
        points = np.array([[-1, -half], [1, -half], [1, half], [-1, half]])
    else:
        angles = np.linspace(0, 2 * np.pi, 60, endpoint=False)
        wobble = 1 + sum(
            rng.normal(0, 0.35 / order) * np.cos(order * angles + rng.uniform(0, 6)) for order in range(1, 7)
        )
        points = np.stack([np.cos(angles) * wobble, np.sin(angles) * wobble], axis=1)
    turn = rng.uniform(0, 2 * np.pi)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    outline: NDArray[Any] = points @ rotation * radius
    return outline


def _leaf(rng: Rng, canvas: Canvas, radius: float, palette: Image) -> None:
    side = canvas.shape[0]
    points = (_outline(rng, radius) + rng.uniform(-0.05, 1.05, 2) * side).round().astype(np.int32)
    left, top = np.clip(points.min(axis=0) - 1, 0, side)
    right, bottom = np.clip(points.max(axis=0) + 2, 0, side)
    if right - left < 3 or bottom - top < 3:
        return
    shape = np.zeros((bottom - top, right - left), np.uint8)
    cv2.fillPoly(shape, [points - (left, top)], 255, cv2.LINE_AA)
    cover = shape[..., None].astype(np.float32) / 255
    if rng.random() < 0.06:
        cover *= rng.uniform(0.3, 0.9)  # glass, veils
    area = canvas[top:bottom, left:right]
    surface = _shaded(rng, bottom - top, right - left, _pick(rng, palette))
    area[:] = area + cover * (surface - area)
    if rng.random() < 0.12:  # a light or dark rim, such as a collar's or a page's
        colour = np.clip(_pick(rng, palette) + rng.choice([-80, 80]), 0, 255)
        cv2.polylines(canvas, [points], True, colour.tolist(), int(rng.integers(1, 7)), cv2.LINE_AA)


# --- What looks like damage and is none -------------------------------------------------------------------


def _stroke(canvas: Canvas, points: NDArray[Any], colour: Image, thickness: float) -> None:
    fixed = (points * 2**_FIXED_POINT_BITS).round().astype(np.int32)
    cv2.polylines(
        canvas, [fixed], False, colour.tolist(), max(1, round(thickness)), cv2.LINE_AA, _FIXED_POINT_BITS
    )


def _curve(rng: Rng, start: Image, heading: float, length: float, bend: float) -> NDArray[Any]:
    count = 24
    turns = heading + bend * np.linspace(0, 1, count) + np.cumsum(rng.normal(0, 0.03, count))
    steps = np.stack([np.cos(turns), np.sin(turns)], axis=1) * length / count
    path: NDArray[Any] = start + np.cumsum(steps, axis=0)
    return path


def _contrasting(rng: Rng, palette: Image) -> Image:
    colour = _pick(rng, palette)
    if rng.random() < 0.6:
        colour = colour * 0.3 + (1 if rng.random() < 0.5 else 0) * rng.uniform(120, 178)
    return np.clip(colour, 0, 255).astype(np.float32)


def _hair(rng: Rng, canvas: Canvas, palette: Image) -> None:
    """A bundle: many strands of about one heading and colour."""
    side, colour = canvas.shape[0], _contrasting(rng, palette)
    root, heading = rng.uniform(0, side, 2), rng.uniform(0, 2 * np.pi)
    spread, bend = rng.uniform(10, side / 5), rng.normal(0, 1)
    length = rng.uniform(0.06, 0.5) * side
    for _ in range(rng.integers(25, 160)):
        path = _curve(rng, root + rng.normal(0, spread, 2), heading + rng.normal(0, 0.2), length, bend)
        _stroke(canvas, path, np.clip(colour + rng.normal(0, 25), 0, 255), rng.uniform(1, 3.4))


def _whiskers(rng: Rng, canvas: Canvas, palette: Image) -> None:
    """A few strands that fan out from one place."""
    side, colour = canvas.shape[0], _contrasting(rng, palette)
    root, heading = rng.uniform(0, side, 2), rng.uniform(0, 2 * np.pi)
    for _ in range(rng.integers(4, 16)):
        path = _curve(
            rng,
            root + rng.normal(0, 12, 2),
            heading + rng.normal(0, 0.4),
            rng.uniform(60, 300),
            rng.normal(0, 0.6),
        )
        _stroke(canvas, path, np.clip(colour + rng.normal(0, 15), 0, 255), rng.uniform(1, 3))


def _branches(rng: Rng, canvas: Canvas, palette: Image) -> None:
    colour = _contrasting(rng, palette)
    start, heading = rng.uniform(0, canvas.shape[0], 2), rng.uniform(0, 2 * np.pi)
    twigs = [(start, heading, rng.uniform(80, 300), rng.uniform(4, 16))]
    drawn = 0
    while twigs and drawn < 90:
        start, heading, length, thickness = twigs.pop(0)
        path = _curve(rng, start, heading, length, rng.normal(0, 0.5))
        _stroke(canvas, path, colour, thickness)
        drawn += 1
        if length > 20:
            for _ in range(rng.integers(1, 4)):
                at = path[rng.integers(8, len(path))]
                twigs.append(
                    (
                        at,
                        heading + rng.normal(0, 0.7),
                        length * rng.uniform(0.4, 0.8),
                        max(1.0, thickness * 0.6),
                    )
                )


def _wires(rng: Rng, canvas: Canvas, palette: Image) -> None:
    """Some that hang side by side between two points, as on masts and tents, or run together in one."""
    side, colour = canvas.shape[0], _contrasting(rng, palette)
    left, right = rng.uniform(0, side, 2), rng.uniform(0, side, 2)
    gap, sag = rng.uniform(6, 50), rng.uniform(0, 60)
    at = np.linspace(0, 1, 24)[:, None]
    thickness = rng.uniform(1.5, 6)
    joined = rng.random() < 0.4
    for index in range(rng.integers(2, 7)):
        apart = np.array([0, index * gap])
        path = (left + apart) * (1 - at) + (right + (0 if joined else 1) * apart) * at
        path[:, 1:] += sag * 4 * at * (1 - at)
        _stroke(canvas, path, colour, thickness)


def _bars(rng: Rng, canvas: Canvas, palette: Image) -> None:
    """Railings, blinds, window frames, tiles: parallel bars, often crossed by others."""
    side, colour = canvas.shape[0], _contrasting(rng, palette)
    centre, turn = rng.uniform(0, side, 2), rng.choice([0, np.pi / 2]) + rng.normal(0, 0.08)
    along = np.array([np.cos(turn), np.sin(turn)])
    across = np.array([-along[1], along[0]])
    gap, thickness = np.exp(rng.uniform(2.3, 4.4)), rng.uniform(1, 9)
    count, half = rng.integers(3, 14), rng.uniform(40, side / 3)
    for index in range(count):
        middle = centre + across * (index - count / 2) * gap
        _stroke(canvas, np.array([middle - along * half, middle + along * half]), colour, thickness)
    if rng.random() < 0.6:
        for place in np.linspace(-1, 1, rng.integers(2, 6)):
            middle, reach = centre + along * half * place, across * gap * count / 2
            _stroke(canvas, np.array([middle - reach, middle + reach]), colour, thickness)


def _writing(rng: Rng, canvas: Canvas, palette: Image) -> None:
    colour = _contrasting(rng, palette)
    at, size = rng.uniform(0, canvas.shape[0], 2), rng.uniform(0.5, 3)
    for line in range(rng.integers(1, 6)):
        letters = "".join(map(chr, rng.choice([*range(48, 58), *range(65, 91), *range(97, 123)], 12)))
        place = (int(at[0] - 100), int(at[1] + line * 36 * size))
        thickness = max(1, round(size * rng.uniform(0.8, 2.5)))
        font = int(rng.choice([0, 1, 2, 3, 4, 6, 7]))
        cv2.putText(canvas, letters, place, font, size, colour.tolist(), thickness, cv2.LINE_AA)


def _highlights(rng: Rng, canvas: Canvas, palette: Image) -> None:
    """Catch lights in eyes, each within something dark; glints on metal; lights at night; stars; buttons."""
    del palette
    side = canvas.shape[0]
    kind = rng.random()
    for _ in range(rng.integers(1, 40) if kind < 0.5 else rng.integers(1, 6)):
        x, y = (int(value) for value in rng.integers(0, side, 2))
        radius = int(rng.integers(1, 9))
        if kind > 0.4:
            dark = float(rng.uniform(0, 60))
            cv2.circle(canvas, (x, y), radius * int(rng.integers(2, 5)), (dark, dark, dark), -1, cv2.LINE_AA)
        light = float(rng.uniform(190, 255))
        axes = (radius, max(1, int(radius * rng.uniform(0.4, 1))))
        cv2.ellipse(
            canvas, (x, y), axes, float(rng.uniform(0, 180)), 0, 360, (light, light, light), -1, cv2.LINE_AA
        )


_NEGATIVES: tuple[Callable[[Rng, Canvas, Image], None], ...] = (
    _hair,
    _hair,
    _whiskers,
    _branches,
    _wires,
    _bars,
    _bars,
    _writing,
    _highlights,
)
