"""Find scratches, creases and dust. A missed scratch is better than a lost eyelash, so doubt means no.

Where the trained network is at hand, what it is rather sure of counts in any photo. Besides, and without it,
three kinds of evidence, each with its own hard negatives in mind; with it, none that it thinks unlikely:

* In a toned photo, bare paper is less coloured than any tone of the picture, whatever its shape. Hair, bows
  and cigarettes are on the tone, creases are not; nor are rust and ink.
* In a photo that shows its age, a line alone on even ground, far brighter or darker than it.
* In such a photo, a speck alone on even ground: dust.

By these a sharp, unfaded colour photo gets no mask at all: whiskers, wires and spokes look exactly like scratches.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np

from relume.builtin.candidates import Candidate, find_candidates, standing_out
from relume.builtin.damage_net import (
    ALONE,
    CONFIRMED,
    NAME,
    Probability,
    believed,
    probability_of_damage,
)
from relume.builtin.levels import Levels, Mask, luma, shrunk, to_levels, visible
from relume.builtin.nets import NO_NETS, Nets
from relume.builtin.noise import Noise
from relume.builtin.offtone import off_tone
from relume.builtin.tone import Palette, Tone
from relume.imaging.photo import Photo

_WORKING_SIDE = 1600
_SMALLEST_SIDE = 32
_PAPER_LEVELS = ((16, 8), (20, 12), (28, 18))
_LINE_LEVELS = (60, 40)
"""So far above its surroundings only a thin line is surely a crease: a bow's tip or a cuff stands out as far."""
_ON_TONE = 1.0
_MOST_LINES = 8  # more are the picture itself: writing, rigging, a fence
_FEWEST_SPECKS = 8  # dust comes in numbers; one or two specks are the light in somebody's eyes
_LIFTED_BLACK = 40.0
_GRAIN_SIGMA = 3.0
# Probability that the network gives to a candidate, in the mean. In toned photos without damage, large ones have
# 0.10 at most (masts, spokes, collars) and 90 % of the specks 0.08; creases have more, and dust 0.08 in the median.
_LEAST_SUPPORT, _LEAST_SUPPORT_OF_SPECKS = 0.15, 0.06
_LARGEST_SPECK = 14.0  # pixels long
_MANY_LINES = 6  # that rules and network agree on: such a photo is damaged
_LARGEST_SHARE = 0.12  # of the photo; a mask larger than this has taken the picture for damage


_ROUND = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))


@dataclass(frozen=True, slots=True, eq=False)
class Scratches:
    mask: Mask
    """(height, width): True where the picture is lost."""
    confidence: float

    @property
    def share(self) -> float:
        """Of the photo's pixels, 0 to 1."""
        return float(self.mask.mean())


def find_scratches(photo: Photo, tone: Tone, noise: Noise, nets: Nets = NO_NETS) -> Scratches:
    """The mask of damage of a photo, empty unless the evidence is clear."""
    nothing = Scratches(np.zeros(photo.pixels.shape[:2], bool), 0.8)
    if min(photo.width, photo.height) < _SMALLEST_SIDE:
        return nothing
    net, is_aged = nets.get(NAME), _shows_age(tone, noise)
    if net is None and not is_aged:
        return nothing
    levels, opaque = _working_size(photo)
    found = list(_find(levels, tone, noise)) if is_aged else []
    mask = np.zeros(opaque.shape, bool)
    if net is not None:
        probability = np.where(opaque, probability_of_damage(levels, net), np.float32(0))
        found = [candidate for candidate in found if _is_possible(candidate, probability)]
        mask = believed(probability, CONFIRMED if _are_many_lines(found) else ALONE)
    # Where the rules take half of the picture for damage, what the network is sure of still counts.
    masks = ((mask | _drawn(found, mask.shape)) & opaque, mask & opaque)
    mask = next((small for small in masks if small.mean() <= _LARGEST_SHARE), np.zeros_like(mask))
    if not mask.any():
        return nothing
    size = photo.width, photo.height
    full = cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    return Scratches(full & visible(photo), 0.7)


def _shows_age(tone: Tone, noise: Noise) -> bool:
    if tone.palette is Palette.TONED:
        return True
    is_grainy = tone.palette is Palette.MONOCHROME and noise.sigma > _GRAIN_SIGMA
    return is_grainy or tone.luma_black > _LIFTED_BLACK


def _working_size(photo: Photo) -> tuple[Levels, Mask]:
    levels = to_levels(shrunk(photo.pixels, _WORKING_SIDE))
    opaque = shrunk(visible(photo).astype(np.uint8)[..., None], _WORKING_SIDE)
    return levels, cv2.erode(opaque[..., 0], np.ones((5, 5), np.uint8)) > 0


def _find(levels: Levels, tone: Tone, noise: Noise) -> Iterator[Candidate]:
    """By the rules alone."""
    grey = luma(levels)
    deviation, surroundings = standing_out(grey)
    paler = np.zeros_like(grey)
    if tone.palette is Palette.TONED:
        paler, stronger = off_tone(levels, grey, deviation)
        yield from _bare_paper(deviation, surroundings, paler)
        stains = find_candidates(-deviation, surroundings, stronger, seed=12, grow=6)
        yield from (stain for stain in stains if _is_stain(stain))
    for leaning in (deviation, -deviation):
        candidates = list(find_candidates(leaning, surroundings, paler, seed=35, grow=14))
        lines = [candidate for candidate in candidates if _is_lone_line(candidate)]
        yield from lines if len(lines) <= _MOST_LINES else ()
        specks = [candidate for candidate in candidates if _is_speck(candidate, noise)]
        yield from specks if len(specks) >= _FEWEST_SPECKS else ()


def _is_possible(found: Candidate, probability: Probability) -> bool:
    least = _LEAST_SUPPORT if _is_large(found) else _LEAST_SUPPORT_OF_SPECKS
    return float(probability[found.where][found.shape].mean()) > least


def _are_many_lines(found: list[Candidate]) -> bool:
    return sum(_is_large(candidate) for candidate in found) >= _MANY_LINES


def _is_large(found: Candidate) -> bool:
    return found.length > _LARGEST_SPECK


def _bare_paper(deviation: Levels, surroundings: Levels, paler: Levels) -> Iterator[Candidate]:
    # Where a crease runs into something light of the scene, only a higher level tells the two apart.
    for seed, grow in _PAPER_LEVELS:
        for part in find_candidates(deviation, surroundings, paler, seed=seed, grow=grow):
            if _is_bare_paper(part, paler.shape):
                # Hair that a crease runs across hangs on to it, but is on the tone.
                yield replace(part, shape=part.shape & (paler[part.where] > _ON_TONE))
    seed, grow = _LINE_LEVELS
    for part in find_candidates(deviation, surroundings, paler, seed=seed, grow=grow):
        if part.length > 40 and part.length > 8 * part.width and _is_bare_paper(part, paler.shape):
            yield part


def _drawn(found: list[Candidate], size: tuple[int, ...]) -> Mask:
    mask = np.zeros(size, np.uint8)
    for candidate in found:
        mask[candidate.where] |= candidate.shape
    # A torn edge reaches the border of the photo, though its last pixels may not stand out.
    frame = cv2.copyMakeBorder(mask, 8, 8, 8, 8, cv2.BORDER_CONSTANT, value=1)
    closed = cv2.morphologyEx(frame, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))[8:-8, 8:-8]
    # Two pixels more: the edge of a scratch is half scratch, and JPEG spreads its colour further still.
    return cv2.dilate(closed, _ROUND) > 0


def _is_bare_paper(found: Candidate, size: tuple[int, ...]) -> bool:
    """Measured on a creased sepia portrait: creases 4.3 to 10.5 off the tone, all else up to 2.4."""
    if found.area < 12:
        return found.off_tone > 4.0 and found.peak > 25
    return found.off_tone > (2.6 if _touches_border(found, size) else 3.4)


def _touches_border(found: Candidate, size: tuple[int, ...]) -> bool:
    rows, columns = found.where
    margin = 0.02 * max(size)
    nearest: int = min(rows.start, columns.start, size[0] - rows.stop, size[1] - columns.stop)
    return nearest < margin


def _is_lone_line(found: Candidate) -> bool:
    """Long, thin, of high contrast, on ground that is even and holds nothing else.

    Measured: creases have a contrast of 60, on ground 8 % as uneven; a tripod's leg on grass 24 %, a
    mast 17 %; handwriting has a contrast below 40.
    """
    return (
        found.length > 35
        and found.length > 5 * found.width
        and found.contrast > 42
        and found.step < 0.2 * found.contrast
        and found.unevenness < 0.12 * found.contrast
        and found.crowding < 0.16
    )


def _is_stain(found: Candidate) -> bool:
    """A small dark speck of another hue than the photo has, such as rust, on even ground.

    Measured on a stained sepia portrait: stains are 2.3 to 4.5 too red, its own dark specks up to 1.
    """
    return (
        found.length < 14
        and found.peak > 16
        and found.off_tone > 2
        and found.step < 0.25 * found.peak
        and found.unevenness < 0.17 * found.peak
    )


def _is_speck(found: Candidate, noise: Noise) -> bool:
    """Small, and alone on ground that is even near and far."""
    return (
        found.length < 9
        and found.peak > max(35.0, 8 * noise.sigma)
        and found.step < 0.2 * found.peak
        and found.unevenness < 0.15 * found.peak
        and (found.relief < 0.25 * found.peak or found.off_tone > 2)
        and found.crowding < 0.03
    )
