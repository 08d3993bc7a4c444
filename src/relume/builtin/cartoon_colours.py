"""Flat, clean colours: smoothing that keeps edges, soft steps of tone, a small palette, and paint's texture."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from relume.builtin.levels import Levels, luma

_PASSES = 2
_KNOTS = 1024
_TONE_PERCENTILES = (1.0, 99.0)
_GAMMA_RANGE = (0.45, 1.6)
_SPECK_WIDTH, _SPECK_PASSES = 5, 2
_SEED = 0
_CHROMA_WEIGHT = 1.5  # skin and a grey wall of one brightness are two colours
_PALETTE_SIDE = 128
_PALETTE_ROUNDS = 12


@dataclass(frozen=True, slots=True)
class Tones:
    """Luma in `count` soft steps from `black` to `white` (levels).

    `softness` is a step's width as a share of the distance between two: 0.5 hardly shows steps at all.
    """

    count: int
    softness: float
    black: float
    white: float
    key: float | None = None
    """Mean brightness to come near to, 0 to 1: how light the paper shines through. None keeps the photo's."""


@dataclass(frozen=True, slots=True)
class Texture:
    """Uneven density of paint. Lengths are in thousandths of the photo's longer side."""

    amount: float
    fine: float
    """Size of the grain."""
    stretch: float
    """How much longer than wide a grain is, along a diagonal: 1 for paper, 10 and more for hatching."""


def to_opponent(levels: Levels) -> Levels:
    """(height, width, 1 or 3) to luma, red less luma, blue less luma: grey stays exactly without colour."""
    if levels.shape[2] == 1:
        return levels
    grey = luma(levels)
    return np.dstack([grey, levels[..., 0] - grey, levels[..., 2] - grey])


def from_opponent(opponent: Levels) -> Levels:
    """Undo `to_opponent`; not clipped."""
    if opponent.shape[2] == 1:
        return opponent
    grey, red, blue = (opponent[..., index] for index in range(3))
    green = grey - (np.float32(0.299) * red + np.float32(0.114) * blue) / np.float32(0.587)
    return np.dstack([grey + red, green, grey + blue])


def smoothed(opponent: Levels, sigma: float, contrast: float) -> Levels:
    """An iterated bilateral filter, after Winnemöller, Olsen & Gooch, "Real-Time Video Abstraction" (2006).

    `sigma` in pixels; differences well above `contrast`, in levels, stay edges.
    """
    for _ in range(_PASSES):
        shape = opponent.shape
        opponent = np.asarray(cv2.bilateralFilter(opponent, -1, contrast, sigma), np.float32).reshape(shape)
    return opponent


def with_plain_chroma(opponent: Levels, radius: float) -> Levels:
    """The median of chroma over `radius` pixels: a highlight on skin is light skin, not a grey spot."""
    if opponent.shape[2] == 1:
        return opponent
    side = 2 * max(1, round(radius)) + 1
    chroma = np.rint(np.clip(opponent[..., 1:] / 2 + 128, 0, 255)).astype(np.uint8)
    plain = [cv2.medianBlur(np.ascontiguousarray(chroma[..., index]), side) for index in (0, 1)]
    return np.dstack([opponent[..., 0], *((plane.astype(np.float32) - 128) * 2 for plane in plain)])


def tone_curve(grey: Levels, tones: Tones) -> NDArray[np.float32]:
    """(1024,): the luma that each luma from 0 to 255 becomes. The soft quantisation of Winnemöller et al.

    The steps are where this photo has its tones (k-means in one dimension), so that a faded photo gets as
    many as any other; what it uses of black and white is stretched a little.
    """
    low, high = np.percentile(grey, _TONE_PERCENTILES)
    centres = _tone_centres(grey, tones.count)
    at = np.linspace(0, 255, _KNOTS)
    curve = np.full(_KNOTS, centres[0])
    for lower, upper in pairwise(centres.tolist()):
        width = max((upper - lower) * tones.softness, 0.25)
        curve += (upper - lower) / (1 + np.exp(-np.clip((at - (lower + upper) / 2) * 4 / width, -50, 50)))
    # Half of the way to the full range: a photo in fog stays one.
    low, high = low / 2, (high + 255) / 2
    share = np.clip((curve - low) / max(high - low, 1), 0, 1)
    if tones.key is not None:
        mean = float(np.interp(grey, at, share).mean())
        share **= np.clip(np.log(tones.key) / np.log(np.clip(mean, 0.01, 0.99)), *_GAMMA_RANGE)
    stretched: NDArray[np.float32] = (tones.black + (tones.white - tones.black) * share).astype(np.float32)
    return stretched


def palette(opponent: Levels, count: int) -> NDArray[np.float32]:
    """(count, channels): the colours the photo is made of, dark to light, by k-means with k-means++ seeding."""
    small: Levels = np.asarray(
        cv2.resize(opponent, (_PALETTE_SIDE, _PALETTE_SIDE), interpolation=cv2.INTER_AREA), np.float32
    )
    weights = _weights(opponent.shape[2])
    samples = small.reshape(-1, opponent.shape[2]) * weights
    centres = _k_means(samples, _first_centres(samples, count)) / weights
    ordered: NDArray[np.float32] = centres[np.argsort(centres[:, 0], kind="stable")]
    return ordered


def coverage(opponent: Levels, colours: NDArray[np.float32], sigma: float) -> NDArray[np.uint8]:
    """(height, width, colours): 0 to 255, how much of each colour; regions have round outlines."""
    weights = _weights(opponent.shape[2])
    nearest = _nearest(opponent.reshape(-1, len(weights)) * weights, colours * weights)
    labels = nearest.reshape(opponent.shape[:2]).astype(np.uint8)
    for _ in range(_SPECK_PASSES):  # The colours come dark to light, so the median of labels has a meaning.
        labels = np.asarray(cv2.medianBlur(labels, _SPECK_WIDTH), np.uint8)
    planes = [
        cv2.GaussianBlur(np.uint8(255) * (labels == index), (0, 0), sigma) for index in range(len(colours))
    ]
    return np.dstack(planes)


def texture(shape: tuple[int, int], grain: Texture, unit: float) -> Levels:
    """(height, width): noise around 0 of standard deviation `amount`, the same for every photo of a size."""
    noise = np.random.default_rng(_SEED).standard_normal(shape, np.float32)
    sigma = max(grain.fine * unit, 0.6)
    if grain.stretch > 1:
        reach = max(1, round(sigma * grain.stretch))
        noise = np.asarray(cv2.filter2D(noise, -1, np.fliplr(np.eye(2 * reach + 1, dtype=np.float32))))
        soft = cv2.GaussianBlur(noise, (0, 0), sigma)
    else:
        octaves = [cv2.GaussianBlur(noise, (0, 0), sigma * size) * size**1.3 for size in (1, 4, 16)]
        soft = np.sum(octaves, axis=0)
    spread = max(float(soft.std()), 1e-6)
    return np.asarray(soft * np.float32(grain.amount / spread), np.float32)


def with_density(levels: Levels, density: Levels) -> Levels:
    """More paint where `density` is above 0, less below, after Bousseau et al., "Interactive Watercolor
    Rendering with Temporal Coherence and Abstraction" (2006). White paper takes no paint, and stays white.
    """
    share = levels / np.float32(255)
    return levels - np.float32(255) * (share - share**2) * density[..., None]


def _weights(channels: int) -> NDArray[np.float32]:
    return np.array([1.0, _CHROMA_WEIGHT, _CHROMA_WEIGHT][:channels], np.float32)


def _tone_centres(grey: Levels, count: int) -> NDArray[np.float64]:
    samples = np.sort(grey, axis=None)[:: max(1, grey.size // 20_000)].astype(np.float64)
    # From even steps, not quantiles: a large plain background must not take all of them.
    centres = np.linspace(samples[0], samples[-1], 2 * count + 1)[1::2]
    for _ in range(_PALETTE_ROUNDS):
        groups = np.split(samples, np.searchsorted(samples, (centres[:-1] + centres[1:]) / 2))
        means = [
            group.mean() if group.size else centre for group, centre in zip(groups, centres, strict=True)
        ]
        centres = (centres + np.array(means)) / 2
    return centres


def _first_centres(samples: Levels, count: int) -> NDArray[np.float32]:
    random = np.random.default_rng(_SEED)
    chosen = [samples[len(samples) // 2]]
    distance = np.full(len(samples), np.inf, np.float32)
    for _ in range(count - 1):
        distance = np.minimum(distance, ((samples - chosen[-1]) ** 2).sum(axis=1))
        total = float(distance.sum())
        at = np.searchsorted(np.cumsum(distance), random.random() * total) if total > 0 else 0
        chosen.append(samples[min(int(at), len(samples) - 1)])
    return np.stack(chosen)


def _k_means(samples: Levels, centres: NDArray[np.float32]) -> NDArray[np.float32]:
    for _ in range(_PALETTE_ROUNDS):
        labels = _nearest(samples, centres)
        centres = np.stack(
            [
                samples[labels == index].mean(axis=0) if (labels == index).any() else centre
                for index, centre in enumerate(centres)
            ]
        )
    return centres


def _nearest(samples: Levels, centres: NDArray[np.float32]) -> NDArray[np.intp]:
    # |sample - centre|^2 without the sample's own square, which is the same for every centre.
    labels: NDArray[np.intp] = np.argmin((centres**2).sum(axis=1) - 2 * samples @ centres.T, axis=1)
    return labels
