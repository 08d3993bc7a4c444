"""Dead-leaves images: shapes that cover one another, with the statistics of photos and nobody's rights in them.

After Achddou, Gousseau & Ladjal, "Fully synthetic training for image restoration tasks" (2023), with what made a
difference here: textures of many spectra, blurred backgrounds, strokes and letters, and drawing at twice the size.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Plane = NDArray[np.float32]

_BANK_SIDE = 1024
_BANK_SIZE = 24


@dataclass(frozen=True)
class Look:
    """What one image is made of. Lengths in pixels of the drawing, which is twice the image."""

    leaves: int
    smallest: float
    power: float
    textured: float
    is_deep: bool
    """Whether what lies behind is out of focus."""


class Painter:
    """Draws images from a seed. Holds a bank of textures (about 100 MB), so make one for each process."""

    def __init__(self, seed: int) -> None:
        self._bank = _textures(np.random.default_rng(seed))

    def draw(self, seed: int, side: int = 512) -> Image:
        """One image, (side, side, 3), RGB."""
        rng = np.random.default_rng(seed)
        canvas = self._paint(rng, 2 * side)
        small = cv2.resize(canvas, (side, side), interpolation=cv2.INTER_AREA)
        return _finish(small, rng)

    def _paint(self, rng: np.random.Generator, side: int) -> Image:
        look = Look(
            leaves=int(np.exp(rng.uniform(np.log(300), np.log(5000)))),
            smallest=rng.uniform(3, 9),
            power=rng.uniform(2.2, 3.2),
            textured=rng.uniform(0.6, 1.0),
            is_deep=rng.random() < 0.35,
        )
        palette = _palette(rng)
        canvas = np.empty((side, side, 3), np.uint8)
        self._fill(canvas, np.full((side, side), 255, np.uint8), 0, 0, palette, rng, textured=True)
        ground = rng.uniform(side / 16, side / 3, rng.integers(10, 60))
        radii = np.concatenate([ground, _radii(rng, look, side)])
        blur_after = int(look.leaves * rng.uniform(0.3, 0.8)) if look.is_deep else -1
        for index, radius in enumerate(radii):
            if index == blur_after:
                canvas = cv2.GaussianBlur(canvas, (0, 0), float(rng.uniform(1.5, 8)))
            self._leaf(canvas, float(radius), palette, rng, textured=rng.random() < look.textured)
        if rng.random() < 0.6:
            _strokes(canvas, palette, rng)
        if rng.random() < 0.3:
            _letters(canvas, palette, rng)
        return canvas

    def _leaf(
        self, canvas: Image, radius: float, palette: Plane, rng: np.random.Generator, *, textured: bool
    ) -> None:
        side = canvas.shape[0]
        centre = rng.uniform(-radius / 2, side + radius / 2, 2)
        points = _outline(radius, rng) + centre
        low = np.maximum(np.floor(points.min(axis=0)).astype(int) - 1, 0)
        high = np.minimum(np.ceil(points.max(axis=0)).astype(int) + 2, side)
        if (high <= low).any():
            return
        (left, top), (right, bottom) = low, high
        mask = np.zeros((bottom - top, right - left), np.uint8)
        shifted = np.round((points - low) * 16).astype(np.int32)
        cv2.fillPoly(mask, [shifted], 255, lineType=cv2.LINE_AA, shift=4)
        self._fill(canvas[top:bottom, left:right], mask, left, top, palette, rng, textured=textured)

    def _fill(
        self,
        target: Image,
        mask: Image,
        left: int,
        top: int,
        palette: Plane,
        rng: np.random.Generator,
        *,
        textured: bool,
    ) -> None:
        height, width = mask.shape
        first, second = palette[rng.integers(len(palette), size=2)]
        first = first + rng.normal(0, 8, 3).astype(np.float32)
        if not textured or min(height, width) < 5:
            colour = np.broadcast_to(first, (height, width, 3))
        else:
            amount = self._texture(height, width, rng)
            contrast = float(rng.choice([0.08, 0.2, 0.5, 1.0]))
            colour = first + (amount * contrast)[..., None] * (second - first)
        if rng.random() < 0.4:
            slope = rng.normal(0, 30, 2)
            light = np.linspace(-0.5, 0.5, height, dtype=np.float32)[:, None] * np.float32(
                slope[0]
            ) + np.linspace(-0.5, 0.5, width, dtype=np.float32)[None] * np.float32(slope[1])
            colour = colour + light[..., None]
        cover = (mask.astype(np.float32) / np.float32(255))[..., None]
        mixed = target * (1 - cover) + np.clip(colour, 0, 255) * cover
        target[...] = np.rint(mixed).astype(np.uint8)

    def _texture(self, height: int, width: int, rng: np.random.Generator) -> Plane:
        plane = self._bank[rng.integers(len(self._bank))]
        if height >= _BANK_SIDE or width >= _BANK_SIDE:
            plane = cv2.resize(plane, (2 * _BANK_SIDE, 2 * _BANK_SIDE), interpolation=cv2.INTER_LINEAR)
        side = plane.shape[0]
        top, left = (int(rng.integers(0, side - length + 1)) for length in (height, width))
        part: Plane = plane[top : top + height, left : left + width]
        return part[:: rng.choice([-1, 1]), :: rng.choice([-1, 1])]


def _radii(rng: np.random.Generator, look: Look, side: int) -> NDArray[Any]:
    """Between `smallest` and a third of the side, by a power law."""
    largest, exponent = side / 3, 1 - look.power
    low, high = look.smallest**exponent, largest**exponent
    return (low + rng.random(look.leaves) * (high - low)) ** (1 / exponent)


def _outline(radius: float, rng: np.random.Generator) -> NDArray[Any]:
    """(points, 2) around the origin: ellipses, polygons, bars and wobbly blobs."""
    kind = rng.random()
    turn = rng.uniform(0, 2 * np.pi)
    if kind < 0.35:
        angles = np.linspace(0, 2 * np.pi, 40, endpoint=False)
        reach = np.ones_like(angles)
    elif kind < 0.6:
        angles = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(3, 8)))
        reach = np.ones_like(angles)
    elif kind < 0.75:
        angles = np.array([0.25, 0.75, 1.25, 1.75]) * np.pi
        reach = np.ones_like(angles)
    else:
        angles = np.linspace(0, 2 * np.pi, 60, endpoint=False)
        orders = np.arange(1, 7)
        sizes = rng.normal(0, 0.25, 6) / orders**0.7
        phases = rng.uniform(0, 2 * np.pi, 6)
        reach = np.clip(1 + np.cos(angles[:, None] * orders + phases) @ sizes, 0.2, 2)
    points = radius * reach[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    points[:, 1] *= float(np.exp(rng.uniform(np.log(0.12), 0)))
    spin = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    turned: NDArray[Any] = points @ spin
    return turned


def _palette(rng: np.random.Generator) -> Plane:
    """(12, 3): colours that go together as those of a scene do: light varies more than hue."""
    hue = rng.normal(0, 1, 3)
    base = rng.uniform(40, 200)
    light = rng.normal(0, rng.uniform(25, 75), (12, 1))
    tint = rng.normal(0, np.exp(rng.uniform(0.5, 3.5)), (12, 3)) + hue * rng.uniform(0, 22)
    return np.clip(base + light + tint, 0, 255).astype(np.float32)


def _strokes(canvas: Image, palette: Plane, rng: np.random.Generator) -> None:
    """Hair, twigs and wires."""
    side = canvas.shape[0]
    for _ in range(rng.integers(3, 80)):
        start, heading = rng.uniform(0, side, 2), rng.uniform(0, 2 * np.pi)
        steps = int(rng.integers(3, 25))
        turns = heading + np.cumsum(rng.normal(0, 0.15, steps))
        path = start + np.cumsum(np.stack([np.cos(turns), np.sin(turns)], 1) * rng.uniform(4, 20), axis=0)
        colour = palette[rng.integers(len(palette))].tolist()
        thickness = int(rng.integers(1, 7))
        cv2.polylines(
            canvas, [np.round(path * 16).astype(np.int32)], False, colour, thickness, cv2.LINE_AA, shift=4
        )


def _letters(canvas: Image, palette: Plane, rng: np.random.Generator) -> None:
    side = canvas.shape[0]
    alphabet = np.array(list("abcdefghijklmnopqrstuvwxyzABCDEFGHKLMNRSTW0123456789"))
    for _ in range(rng.integers(1, 12)):
        words = "".join(rng.choice(alphabet, rng.integers(2, 12)))
        place = (int(rng.integers(0, side)), int(rng.integers(0, side)))
        colour = palette[rng.integers(len(palette))].tolist()
        font = int(rng.choice([0, 2, 3, 4, 6]))
        cv2.putText(
            canvas,
            words,
            place,
            font,
            float(rng.uniform(0.6, 3)),
            colour,
            int(rng.integers(1, 6)),
            cv2.LINE_AA,
        )


def _textures(rng: np.random.Generator) -> list[Plane]:
    """Planes of mean 0 and deviation about 0.5: coloured noise, some of it with a direction, and stripes."""
    frequency = np.fft.fftfreq(_BANK_SIDE)
    down, across = frequency[:, None], np.fft.rfftfreq(_BANK_SIDE)[None]
    planes = []
    for index in range(_BANK_SIZE):
        stretch, turn = float(np.exp(rng.uniform(0, 2.2))), rng.uniform(0, np.pi)
        if index % 3:
            stretch = 1.0
        along = down * np.cos(turn) + across * np.sin(turn)
        aside = -down * np.sin(turn) + across * np.cos(turn)
        distance = np.hypot(along * stretch, aside / stretch) + 1 / _BANK_SIDE
        spectrum = distance ** -rng.uniform(0.3, 1.9)
        noise = rng.normal(size=spectrum.shape) + 1j * rng.normal(size=spectrum.shape)
        plane = np.fft.irfft2(spectrum * noise, (_BANK_SIDE, _BANK_SIDE))
        plane /= plane.std()
        if index % 4 == 3:
            period = rng.uniform(3, 24)
            rows, columns = np.mgrid[:_BANK_SIDE, :_BANK_SIDE]
            wave = (rows * np.cos(turn) + columns * np.sin(turn)) / period + 0.3 * plane
            plane = np.tanh(np.sin(2 * np.pi * wave) * rng.uniform(0.8, 4)) + 0.3 * plane
        elif index % 4 == 1:
            plane = np.tanh(plane * rng.uniform(1, 4))
        planes.append((0.5 * plane / plane.std()).astype(np.float32))
    return planes


def _finish(image: Image, rng: np.random.Generator) -> Image:
    """Full contrast, as photographers give, and for some the sharpening of a camera."""
    levels = image.astype(np.float32)
    if rng.random() < 0.7:
        low, high = np.percentile(levels, (rng.uniform(0, 2), rng.uniform(98, 100)))
        levels = (levels - low) * np.float32(255 / max(high - low, 40))
    if rng.random() < 0.35:
        soft = cv2.GaussianBlur(levels, (0, 0), float(rng.uniform(0.7, 1.5)))
        levels += np.float32(rng.uniform(0.2, 0.8)) * (levels - soft)
    finished: Image = np.clip(np.rint(levels), 0, 255).astype(np.uint8)
    return finished
