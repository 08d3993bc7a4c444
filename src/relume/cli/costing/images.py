"""Test images of a wanted file size, made from a formula: the same on every machine, and with no download."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from relume.imaging.encode import encode
from relume.imaging.photo import ImageFormat, Photo

_JPEG_QUALITY = 85
_SEED = 1900
_TOLERANCE = 0.01
_MOST_GRAIN = 80.0
_HALVINGS = 20


@dataclass(frozen=True, slots=True)
class SizeClass:
    """A kind of upload. Width and height are what photos of such a file size usually have."""

    name: str
    target_bytes: int
    width: int
    height: int


SIZE_CLASSES = (SizeClass("90 KB", 90_000, 800, 600), SizeClass("276 KB", 276_000, 1400, 1050))


def make_image(size: SizeClass) -> bytes:
    """A JPEG of `target_bytes`, within a hundredth: shapes and shading like a photo's, and film grain.

    The amount of grain decides the file's size, so it is searched for by halving.
    """
    scene = _scene(size.width, size.height)
    grain = np.random.default_rng(_SEED).normal(size=(size.height, size.width, 1)).astype(np.float32)
    low, high = 0.0, _MOST_GRAIN
    data = b""
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        pixels = np.clip(scene + grain * middle, 0, 255).astype(np.uint8)
        data = encode(Photo(pixels, source_format=ImageFormat.JPEG), ImageFormat.JPEG, _JPEG_QUALITY)
        if abs(len(data) - size.target_bytes) <= size.target_bytes * _TOLERANCE:
            break
        low, high = (middle, high) if len(data) < size.target_bytes else (low, middle)
    return data


def _scene(width: int, height: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """A faded portrait, as far as ellipses go: background, shoulders, head, eyes; float32 RGB, 0 to 255."""
    across = np.linspace(150, 110, width, dtype=np.float32)[None, :, None]
    down = np.linspace(20, -30, height, dtype=np.float32)[:, None, None]
    scene = np.ascontiguousarray(np.broadcast_to(across + down, (height, width, 3)) * (1.0, 0.94, 0.84))
    scene = scene.astype(np.float32)
    unit, middle = height / 100, width // 2
    shapes = (
        ((middle, round(115 * unit)), (48, 45), (70, 66, 64)),
        ((middle, round(45 * unit)), (20, 27), (190, 165, 140)),
        ((middle, round(25 * unit)), (22, 12), (60, 50, 42)),
        ((round(middle - 8 * unit), round(43 * unit)), (3, 1.5), (40, 36, 34)),
        ((round(middle + 8 * unit), round(43 * unit)), (3, 1.5), (40, 36, 34)),
        ((middle, round(59 * unit)), (6, 1.5), (130, 80, 76)),
    )
    for centre, (wide, high), colour in shapes:
        axes = (round(wide * unit), round(high * unit))
        cv2.ellipse(scene, centre, axes, 0, 0, 360, colour, -1, cv2.LINE_AA)
    return np.asarray(cv2.GaussianBlur(scene, (0, 0), 1.0), np.float32)
