"""Fill lost pixels with those whose surroundings look most alike, which carries edges and texture across.

Non-local, after Wexler, Shechtman, Irani, "Space-time completion of video" (2007), and the weighted means of
Buades, Coll, Morel, "A non-local algorithm for image denoising" (2005): each lost pixel becomes the mean of
nearby known pixels, weighted by how well the patch around them fits the patch around it. The first guess
stands in for what the patch lacks; a second round compares with the first round's result.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from relume.builtin.levels import Levels, Mask, luma

_Indices = NDArray[np.intp]
_Values = NDArray[np.float32]

_PATCH_RADIUS = 3
_NEAR = 6  # pixels; so far every place is tried,
_REACH = 12  # and so far every other row and column; 18 takes half as long again for 0.1 dB
_ROUNDS = 2
_GUESS_WEIGHT = np.float32(0.15)  # of a guessed pixel in a comparison; a known one counts 1
_SHARPNESS = np.float32(0.35)  # shares of the best fit's difference within which others are mixed in,
_LEAST_DIFFERENCE = np.float32(16.0)  # and squared levels besides
_NO_FIT = np.float32(1e9)
_MANY = 30_000  # lost pixels; from then on, one round tries every third place, six times faster
_CHUNK = 2048  # lost pixels at once: what they need stays in the processor's cache


def fill_from_alike(levels: Levels, mask: Mask, guess: Levels) -> Levels:
    """(height, width, channels): `guess` with its masked pixels replaced.

    `levels` is read outside the mask only. A pixel with no known one within reach keeps its guess.
    """
    border = _REACH + _PATCH_RADIUS
    result: Levels = np.where(mask[..., None], guess, levels)
    is_known = _framed(np.where(mask, 0, 1).astype(np.float32), border, cv2.BORDER_CONSTANT)
    width, known = is_known.shape[1], is_known.ravel()
    trust = _GUESS_WEIGHT + (1 - _GUESS_WEIGHT) * known
    rows, columns = np.nonzero(mask)
    lost = (rows + border) * width + columns + border
    shifts = np.array([down * width + right for down, right in _shifts()])
    are_many = len(lost) > _MANY
    for _ in range(1 if are_many else _ROUNDS):
        colours = _framed(result, border, cv2.BORDER_REFLECT_101).reshape(known.size, -1)
        grey = np.ascontiguousarray(luma(colours))
        fill = partial(
            _mean_of_alike, grey, colours, known, trust, shifts=shifts[:: 3 if are_many else 1], width=width
        )
        with ThreadPoolExecutor(cv2.getNumThreads()) as threads:
            made = list(threads.map(fill, _chunks(lost)))
        if made:
            result[rows, columns] = np.concatenate(made)
    return result


def _framed(plane: _Values, border: int, kind: int) -> _Values:
    framed: Any = cv2.copyMakeBorder(plane, border, border, border, border, kind)
    result: _Values = framed.reshape(*framed.shape[:2], *plane.shape[2:])
    return result


def _chunks(lost: _Indices) -> Iterator[_Indices]:
    for start in range(0, len(lost), _CHUNK):
        yield lost[start : start + _CHUNK]


def _shifts() -> Iterator[tuple[int, int]]:
    around = range(-_REACH, _REACH + 1)
    for down in around:
        for right in around:
            is_near = max(abs(down), abs(right)) <= _NEAR
            if 0 < down**2 + right**2 <= _REACH**2 and (is_near or (down % 2 == 0 and right % 2 == 0)):
                yield down, right


def _patch(width: int) -> tuple[_Indices, _Values]:
    """Offsets and weights of a patch; a chequered half of it tells as much as the whole."""
    around = range(-_PATCH_RADIUS, _PATCH_RADIUS + 1)
    places = [(down, right) for down in around for right in around if (down + right) % 2 == 0]
    falloff = 2 * (0.7 * _PATCH_RADIUS) ** 2
    weights = [np.exp(-(down**2 + right**2) / falloff) for down, right in places]
    return np.array([down * width + right for down, right in places]), np.array(weights, np.float32)


def _mean_of_alike(
    grey: _Values,
    colours: _Values,
    known: _Values,
    trust: _Values,
    lost: _Indices,
    shifts: _Indices,
    width: int,
) -> Levels:
    """(lost, channels). All planes are flat, `trust` what a pixel counts in a comparison; `shifts` are distances
    between flat indices.
    """
    offsets, falloff = _patch(width)
    places = offsets[:, None] + lost
    here, weights = grey[places], falloff[:, None] * trust[places]
    differences = np.empty((len(shifts), len(lost)), np.float32)
    there, fit, off = np.empty_like(places), np.empty_like(here), np.empty_like(here)
    for index, shift in enumerate(shifts):
        np.add(places, shift, out=there)
        np.take(trust, there, out=fit, mode="clip")  # None lies outside: the mode that needs no copy.
        np.take(grey, there, out=off, mode="clip")
        fit *= weights
        off -= here
        off *= off
        off *= fit
        np.divide(off.sum(axis=0), fit.sum(axis=0), out=differences[index])
        differences[index][known[lost + shift] == 0] = _NO_FIT
    best = differences.min(axis=0)
    shares = np.exp((best - differences) / (_LEAST_DIFFERENCE + _SHARPNESS * best))
    shares[differences == _NO_FIT] = 0
    total = shares.sum(axis=0)[:, None]
    mean = np.einsum("ij,ijk->jk", shares, colours[lost + shifts[:, None]])
    found: Levels = np.where(total > 0, mean / np.maximum(total, 1e-12), colours[lost])
    return found
