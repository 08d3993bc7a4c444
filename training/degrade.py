"""What time, cameras and file formats do to a photo: blur, shrinking, noise, grain and JPEG compression."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pil

Pixels = NDArray[np.uint8]

_FILTERS = (Pil.Resampling.BICUBIC, Pil.Resampling.LANCZOS, Pil.Resampling.BILINEAR, Pil.Resampling.HAMMING)
_SEPIA = np.array([1.0, 0.86, 0.68], np.float32)


@dataclass(frozen=True, slots=True)
class Harm:
    """How much of what. Noise in levels of 255; JPEG quality 100 stands for none."""

    blur: float = 0.0
    noise: float = 0.0
    quality: int = 100
    is_grain: bool = False
    """One noise for all channels, a little soft, as of film; else each channel and pixel has its own."""
    subsampled: bool = True

    @property
    def controls(self) -> tuple[float, float]:
        """What a conditional network is told."""
        return self.noise / 12, (100 - self.quality) / 100


def draw_harm(
    rng: np.random.Generator, *, clean: float, noise: float, most_noise: float, worst_quality: int = 25
) -> Harm:
    """`clean`: the share of photos without any. Noise is |N(0, `noise`)|, at most `most_noise`."""
    if rng.random() < clean:
        return Harm()
    noise_there, compressed = rng.random() < 0.8, rng.random() < 0.75
    return Harm(
        blur=float(rng.uniform(0.3, 1.4)) if rng.random() < 0.5 and (noise_there or compressed) else 0.0,
        # Never so little that it passes for none: what a network is told must tell the two apart.
        noise=float(np.clip(abs(rng.normal(0, noise)), 1, most_noise)) if noise_there else 0.0,
        quality=int(rng.integers(worst_quality, 94)) if compressed else 100,
        is_grain=rng.random() < 0.3,
        subsampled=rng.random() < 0.7,
    )


def spoil(image: Pixels, harm: Harm, rng: np.random.Generator) -> Pixels:
    """(height, width, 3) with noise, then JPEG: what comes after a photo has its final size."""
    if harm.noise > 0:
        image = np.clip(np.rint(image + _noise(image.shape, harm, rng)), 0, 255).astype(np.uint8)
    if harm.quality < 100:
        image = jpeg(image, harm.quality, subsampled=harm.subsampled)
    return image


def jpeg(image: Pixels, quality: int, *, subsampled: bool = True) -> Pixels:
    """Through JPEG once."""
    sampling = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420 if subsampled else cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444
    options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling]
    _, data = cv2.imencode(".jpg", image[..., ::-1], options)
    decoded: Any = cv2.imdecode(data, cv2.IMREAD_COLOR)
    back: Pixels = decoded[..., ::-1]
    return back


def blurred(image: Pixels, sigma: float) -> Pixels:
    if sigma <= 0:
        return image
    soft: Any = cv2.GaussianBlur(image, (0, 0), sigma)
    return np.asarray(soft, np.uint8)


def halved(image: Pixels, rng: np.random.Generator) -> Pixels:
    """Half the sides: by area for most, else by one of four filters, all of them centred alike."""
    height, width = image.shape[:2]
    if rng.random() < 0.6:
        area: Any = cv2.resize(image, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
        return np.asarray(area, np.uint8)
    chosen = _FILTERS[rng.integers(len(_FILTERS))]
    return np.asarray(Pil.fromarray(image).resize((width // 2, height // 2), chosen))


def softened(image: Pixels, rng: np.random.Generator) -> Pixels:
    """As soft as lenses, prints and scanners leave photos, from hardly to clearly.

    With them among the truths, a network gains nearly a decibel more on soft photos, and as much on sharp ones.
    """
    return blurred(image, float(np.exp(rng.uniform(np.log(0.3), np.log(2.5)))))


def grainy(image: Pixels, rng: np.random.Generator) -> Pixels:
    """Fine texture that is part of the truth: real photos are never as smooth as drawn shapes.

    Without it a network takes the grain of a clean photo for noise, and smooths fur, foliage and coffee.
    """
    if rng.random() > 0.65:
        return image
    shape = image.shape if rng.random() < 0.5 else (*image.shape[:2], 1)
    grain = rng.standard_normal(shape, np.float32)
    soft = float(rng.uniform(0, 1.0))
    if soft > 0.25:
        grain = np.asarray(cv2.GaussianBlur(grain, (0, 0), soft), np.float32).reshape(shape)
    strength = float(np.exp(rng.uniform(np.log(0.5), np.log(7))))
    return np.clip(np.rint(image + grain * np.float32(strength / grain.std())), 0, 255).astype(np.uint8)


def aged(image: Pixels, rng: np.random.Generator) -> Pixels:
    """Colours as they are for most; some greyscale, some toned, some pale. Part of the truth, not of the harm."""
    kind = rng.random()
    if kind > 0.24:
        return image
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)[..., None]
    if kind < 0.12:
        toned = np.repeat(grey, 3, axis=2)
    elif kind < 0.19:
        toned = grey * (1 + (_SEPIA - 1) * np.float32(rng.uniform(0.2, 1.2)))
    else:
        toned = image * np.float32(rng.uniform(0.4, 0.8)) + np.float32(rng.uniform(10, 70))
    return np.clip(np.rint(toned), 0, 255).astype(np.uint8)


def _noise(shape: tuple[int, ...], harm: Harm, rng: np.random.Generator) -> NDArray[np.float32]:
    if not harm.is_grain:
        return rng.standard_normal(shape, np.float32) * np.float32(harm.noise)
    grain = rng.standard_normal(shape[:2], np.float32)
    grain = np.asarray(cv2.GaussianBlur(grain, (0, 0), float(rng.uniform(0.3, 0.8))), np.float32)
    return (grain * np.float32(harm.noise / grain.std()))[..., None]
