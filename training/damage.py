"""Damage of prints with its exact mask: scratches, creases, folds, dust, hairs, stains, torn edges, lost emulsion.

Damage lies on top of the picture's grain and was never seen through the camera's lens, only through the
scanner's: with its colour (bare paper, dirt, ink) that is what sets it apart from things of the scene.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from training.damage_scenes import Image, Rng, smooth_noise

Plane = NDArray[Any]
"""(height, width)."""

_VISIBLY_OFF = 9.0
"""Levels between the picture with and without damage, in the worst channel, from which a pixel is damaged."""
_HARDLY_OFF = 3.5
"""And up to which it is not. Between the two the label is left open."""
_OPEN = 255
_BITS = 4


@dataclass(slots=True, eq=False)
class Print:
    """A picture with what was done to it."""

    image: Image
    paper: Image
    """(3,): the colour of bare paper."""
    cover: Plane = field(init=False)
    """How much of the picture is gone, 0 to 1. Shading beside a crease covers nothing."""

    def __post_init__(self) -> None:
        self.cover = np.zeros(self.image.shape[:2], np.float32)

    @property
    def side(self) -> int:
        return len(self.image)

    def put(self, cover: Plane, colour: Image) -> None:
        """Lay `colour`, (3,) or (height, width, 3), over the picture."""
        self.image += cover[..., None] * (colour - self.image)
        self.cover = np.maximum(self.cover, cover)


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    image: NDArray[np.uint8]
    """(side, side, 3)."""
    label: NDArray[np.uint8]
    """(side, side): 1 damaged, 0 not, 255 left open."""
    truth: NDArray[np.uint8]
    """(side, side, 3): the same scan of the undamaged print, before noise and JPEG."""


def make_sample(rng: Rng, scene: Image, *, is_clean: bool) -> Sample:
    """An old print of `scene`, damaged unless `is_clean`, scanned and compressed."""
    printed = with_look(rng, scene) if rng.random() < 0.6 else scene.copy()
    if rng.random() < 0.75:
        printed = with_grain(rng, printed, rng.uniform(0, 1) ** 2 * 16)
    page = Print(printed.copy(), _paper(rng, printed))
    if not is_clean:
        for _ in range(rng.integers(1, 4)):
            kind = _KINDS[rng.choice(len(_KINDS), p=_SHARES)]
            kind(rng, page)
    blur = rng.uniform(0.25, 0.9) if rng.random() < 0.8 else 0.0
    before, after = (_scanned(image, blur) for image in (printed, page.image))
    cover = _scanned(page.cover, blur)
    off = np.abs(after - before).max(axis=-1)
    label = np.full(off.shape, _OPEN, np.uint8)
    label[(off <= _HARDLY_OFF) | (cover < 0.02)] = 0
    label[(off > _VISIBLY_OFF) & (cover > 0.1)] = 1
    # Under a patch of paper that happens to match, the picture is lost all the same.
    label[(cover > 0.6) & (label == 0)] = _OPEN
    return Sample(compressed(rng, after), label, np.rint(before).astype(np.uint8))


def _scanned(image: Image, blur: float) -> Image:
    seen = cv2.GaussianBlur(image, (0, 0), blur) if blur else image
    clipped: Image = np.clip(seen, 0, 255)
    return clipped


def compressed(rng: Rng, image: Image) -> NDArray[np.uint8]:
    """With the scanner's noise, and JPEG more often than not."""
    sigma = rng.uniform(0, 4) if rng.random() < 0.5 else 0.5
    pixels = np.clip(image + rng.normal(0, sigma, image.shape), 0, 255).round().astype(np.uint8)
    if rng.random() < 0.7:
        quality = int(rng.integers(35, 97))
        _, data = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
        decoded: Any = cv2.imdecode(data, cv2.IMREAD_COLOR)
        pixels = np.ascontiguousarray(decoded[..., ::-1])
    return pixels


def with_grain(rng: Rng, image: Image, sigma: float) -> Image:
    """Film grain: in the lightness mostly, and a little larger than a pixel at times."""
    grain: Plane = rng.normal(0, 1, image.shape[:2]).astype(np.float32)
    if rng.random() < 0.6:
        grain = cv2.GaussianBlur(grain, (0, 0), rng.uniform(0.4, 1.2))
        grain = grain / grain.std()
    colour = rng.normal(0, 0.25, image.shape).astype(np.float32)
    grainy: Image = np.clip(image + sigma * (grain[..., None] + colour), 0, 255)
    return grainy


def with_look(rng: Rng, image: Image) -> Image:
    """Greyscale, toned, or colour gone by; and faded, more often than not."""
    kind = rng.random()
    grey = image @ np.array([0.299, 0.587, 0.114], np.float32)
    if kind < 0.35:
        result = np.repeat(grey[..., None], 3, axis=2)
    elif kind < 0.75:
        at, strength = grey / 255, rng.uniform(0.3, 1)
        powers = 1 + strength * np.array([-0.35, 0, 0.6]) * rng.uniform(0.6, 1.4)
        result = 255 * np.stack([at**power for power in powers], axis=-1)
    else:
        saturation = rng.uniform(0.2, 0.9)
        result = grey[..., None] + saturation * (image - grey[..., None])
    if rng.random() < 0.65:
        black = rng.uniform(0, 90) * rng.uniform(0.6, 1.2, 3)
        white = rng.uniform(150, 255) * rng.uniform(0.85, 1.05, 3)
        result = black + result / 255 * (white - black)
    faded: Image = np.clip(result, 0, 255).astype(np.float32)
    return faded


def _paper(rng: Rng, image: Image) -> Image:
    """Mostly lighter than the print's white, and nearer to grey than its tones."""
    white = np.percentile(image, 97, axis=(0, 1))
    level = np.clip(white.mean() + rng.uniform(-25, 45), 140, 255)
    tint = (white - white.mean()) * rng.uniform(0, 0.7) + rng.normal(0, 4, 3)
    paper: Image = np.clip(level + tint, 0, 255).astype(np.float32)
    return paper


def _colour(rng: Rng, page: Print, light: float = 0.7) -> Image:
    """Bare paper with probability `light`; else dirt, ink, or the black of a scratched negative."""
    if rng.random() < light:
        return page.paper
    dark = rng.uniform(0, 60) + np.array([1, 0.6, 0.2]) * rng.uniform(0, 40)
    return np.clip(dark, 0, 255).astype(np.float32)


def _rough(rng: Rng, page: Print, colour: Image) -> Image:
    """(side, side, 3): paper has fibres."""
    texture = smooth_noise(rng, page.side, page.side, rng.uniform(1.2, 5)) * rng.uniform(0, 14)
    rough: Image = np.clip(colour + texture[..., None], 0, 255)
    return rough


# --- Lines ------------------------------------------------------------------------------------------------


def _through(rng: Rng, side: int) -> NDArray[Any]:
    """(2, 2): a line that crosses the picture, mostly from one border to another."""
    centre, turn = rng.uniform(0.05, 0.95, 2) * side, rng.uniform(0, np.pi)
    if rng.random() < 0.35:  # film runs one way, and so do its scratches
        turn = rng.choice([0, np.pi / 2]) + rng.normal(0, 0.03)
    half = side * (1.5 if rng.random() < 0.5 else rng.uniform(0.05, 0.6))
    reach = np.array([np.cos(turn), np.sin(turn)]) * half
    return np.array([centre - reach, centre + reach])


def _path(rng: Rng, ends: NDArray[Any], *, bend: float, jagged: float) -> NDArray[Any]:
    """(points, 2) from end to end. `bend` and `jagged`: how far it leaves the straight line, in pixels."""
    length = float(np.hypot(*(ends[1] - ends[0])))
    count = max(6, int(length / 5))
    at = np.linspace(0, 1, count)
    along = (ends[1] - ends[0]) / max(length, 1)
    across = np.array([-along[1], along[0]])
    away = bend * np.sin(at * np.pi * rng.uniform(0.6, 2.2) + rng.uniform(0, 3))
    walk = np.cumsum(rng.normal(0, 1, count))
    away += jagged * (0.35 * (walk - np.linspace(walk[0], walk[-1], count)) + rng.normal(0, 0.3, count))
    path: NDArray[Any] = ends[0] + at[:, None] * (ends[1] - ends[0]) + away[:, None] * across
    return path


def _varied(rng: Rng, count: int, spread: float) -> NDArray[Any]:
    """About 1, changing slowly from point to point."""
    knots = rng.normal(0, spread, max(3, count // 6))
    values: NDArray[Any] = np.exp(np.interp(np.linspace(0, 1, count), np.linspace(0, 1, len(knots)), knots))
    return values


def _drawn(rng: Rng, side: int, path: NDArray[Any], width: float, *, spread: float, gaps: float) -> Plane:
    """Cover of a line of changing width; `gaps` is the share of it that is missing. Twice as fine, then averaged."""
    canvas = np.zeros((2 * side, 2 * side), np.uint8)
    widths = width * _varied(rng, len(path), spread)
    strengths = np.clip(_varied(rng, len(path), 0.25), 0, 1)
    missing = smooth_noise(rng, 2, len(path), rng.uniform(2, 10))[0]
    limit = np.quantile(missing, gaps) if gaps else -np.inf
    fixed = ((path * 2 + 0.5) * 2**_BITS).round().astype(np.int64)
    inside = np.all((path > -20) & (path < side + 20), axis=1)
    for index in np.flatnonzero(inside[:-1] & (missing[:-1] >= limit)):
        thickness = max(1, round(2 * widths[index]))
        # Thinner than the canvas can show: fainter instead.
        strength = strengths[index] * min(1.0, 2 * widths[index] / thickness)
        start, end = (tuple(int(value) for value in fixed[index + step]) for step in (0, 1))
        cv2.line(canvas, start, end, float(255 * strength), thickness, cv2.LINE_AA, _BITS)
    cover: Plane = cv2.resize(canvas, (side, side), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    return cover


def _width(rng: Rng) -> float:
    """0.7 to 8 pixels; thin ones are common."""
    return float(np.exp(rng.uniform(np.log(0.7), np.log(8)) * rng.uniform(0.4, 1)))


def scratches(rng: Rng, page: Print) -> None:
    """One to several, straight or curved, of varying strength."""
    light = float(rng.choice([0.1, 0.9]))
    for _ in range(rng.integers(1, 6)):
        ends = _through(rng, page.side)
        bend = 0.0 if rng.random() < 0.4 else rng.uniform(0, 0.25) * page.side
        path = _path(rng, ends, bend=bend, jagged=rng.choice([0, 0, rng.uniform(0, 1.5)]))
        gaps = rng.choice([0, 0, rng.uniform(0, 0.6)])
        cover = _drawn(rng, page.side, path, _width(rng), spread=rng.uniform(0, 0.35), gaps=gaps)
        opacity = rng.uniform(0.35, 1) if rng.random() < 0.5 else 1.0
        page.put(cover * opacity, _colour(rng, page, light))


def rubbing(rng: Rng, page: Print) -> None:
    """Many short fine scratches of about one heading."""
    centre, turn = rng.uniform(0, page.side, 2), rng.uniform(0, np.pi)
    colour = _colour(rng, page, 0.8)
    for _ in range(rng.integers(4, 16)):
        heading = turn + rng.normal(0, 0.15)
        reach = np.array([np.cos(heading), np.sin(heading)]) * rng.uniform(5, 40)
        middle = centre + rng.normal(0, page.side / 8, 2)
        path = _path(rng, np.array([middle - reach, middle + reach]), bend=rng.uniform(0, 3), jagged=0)
        page.put(
            _drawn(rng, page.side, path, rng.uniform(0.5, 1.6), spread=0.2, gaps=0) * rng.uniform(0.4, 1),
            colour,
        )


def crease(rng: Rng, page: Print, ends: NDArray[Any] | None = None) -> None:
    """A fold: its back cracked open to the white paper, light and shade at both sides."""
    if ends is None:
        ends = _through(rng, page.side)
    path = _path(rng, ends, bend=rng.uniform(0, 0.06) * page.side, jagged=rng.uniform(0.2, 2.5))
    _shade_beside(rng, page, path)
    core = _drawn(
        rng, page.side, path, rng.uniform(0.8, 4.5), spread=0.5, gaps=rng.choice([0, rng.uniform(0, 0.5)])
    )
    # Splinters: the emulsion flakes off beside the crack.
    near = cv2.GaussianBlur(core, (0, 0), rng.uniform(1.5, 6))
    flakes = smooth_noise(rng, page.side, page.side, rng.uniform(2, 7)) > rng.uniform(0.5, 1.2)
    splinters = cv2.GaussianBlur((flakes & (near > 0.08)).astype(np.float32), (0, 0), 0.6)
    cover = np.maximum(core, splinters if rng.random() < 0.6 else 0) * rng.uniform(0.6, 1)
    page.put(cover, _rough(rng, page, page.paper))


def _shade_beside(rng: Rng, page: Print, path: NDArray[Any]) -> None:
    line = _drawn(rng, page.side, path, 2, spread=0, gaps=0)
    sigma = rng.uniform(2, 9)
    band = cv2.GaussianBlur(line, (0, 0), sigma) * sigma
    offset = rng.normal(0, sigma, 2)
    shift = np.array([[1, 0, offset[0]], [0, 1, offset[1]]], np.float64)
    moved = cv2.warpAffine(band, shift, band.shape[::-1], borderMode=cv2.BORDER_REPLICATE)
    amount = rng.uniform(0, 18)
    page.image += (amount * (band * rng.choice([-1, 1]) - moved * rng.choice([-1, 1])))[..., None]
    np.clip(page.image, 0, 255, out=page.image)


def folds(rng: Rng, page: Print) -> None:
    """A sheet folded once or twice: lines along the borders, and crossing each other."""
    side = page.side
    for is_upright in (True, False) if rng.random() < 0.5 else (rng.random() < 0.5,):
        at = rng.uniform(0.15, 0.85, 2) * side
        at[1] = at[0] + rng.normal(0, 4)
        line = np.array([[-5, at[0]], [side + 5, at[1]]])
        crease(rng, page, line[:, ::-1] if is_upright else line)


def fibres(rng: Rng, page: Print) -> None:
    """Hairs and lint that lay on the scanner or the negative: thin, curly, alone."""
    for _ in range(rng.integers(1, 4)):
        turns = rng.uniform(0, 6) + np.cumsum(rng.normal(0, rng.uniform(0.05, 0.3), 40) + rng.normal(0, 0.06))
        steps = np.stack([np.cos(turns), np.sin(turns)], axis=1) * rng.uniform(0.6, 3.5)
        path = rng.uniform(0, page.side, 2) + np.cumsum(steps, axis=0)
        cover = _drawn(rng, page.side, path, rng.uniform(0.6, 2), spread=0.1, gaps=0)
        page.put(cover * rng.uniform(0.5, 1), _colour(rng, page, 0.5))


# --- Areas ------------------------------------------------------------------------------------------------


def dust(rng: Rng, page: Print) -> None:
    """Specks, from a pixel to some; they come in numbers."""
    canvas = np.zeros((4 * page.side, 4 * page.side), np.uint8)
    largest = rng.uniform(1, 4)
    for _ in range(rng.integers(4, 60)):
        centre = tuple(int(value) for value in rng.integers(0, 4 * page.side, 2))
        radius = 4 * largest * rng.beta(1, 2.5) + 2
        axes = (max(1, round(radius)), max(1, round(radius * rng.uniform(0.35, 1))))
        turn, level = float(rng.uniform(0, 180)), float(255 * rng.uniform(0.5, 1))
        cv2.ellipse(canvas, centre, axes, turn, 0, 360, level, -1, cv2.LINE_AA)
    cover = cv2.resize(canvas, (page.side, page.side), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    page.put(cover, _colour(rng, page, 0.65))


def _blob(rng: Rng, page: Print, radius: float, softness: float) -> Plane:
    """A patch with a ragged border, `softness` pixels wide."""
    rows, columns = np.mgrid[: page.side, : page.side].astype(np.float32)
    middle = rng.uniform(-0.05, 1.05, 2) * page.side
    stretch = rng.uniform(0.5, 1)
    away = np.hypot(rows - middle[0], (columns - middle[1]) * stretch)
    ragged = radius * rng.uniform(0.2, 0.7) * smooth_noise(rng, page.side, page.side, max(2.0, radius * 0.5))
    ragged += rng.uniform(0, 2) * smooth_noise(rng, page.side, page.side, 3)
    cover: Plane = np.clip((radius - away + ragged) / max(softness, 0.5) + 0.5, 0, 1).astype(np.float32)
    return cover


def stains(rng: Rng, page: Print) -> None:
    """Blots of dirt, rust, ink, glue or bleach. Wide faint ones leave the picture readable: no damage to fill."""
    for _ in range(rng.integers(1, 6)):
        cover = _blob(rng, page, np.exp(rng.uniform(0.8, 3.1)), rng.uniform(0.5, 6))
        brown = np.array([1, 0.62, 0.35]) * rng.uniform(30, 140)
        colour = brown.astype(np.float32) if rng.random() < 0.4 else _colour(rng, page, 0.5)
        page.put(cover * rng.uniform(0.55, 1), _rough(rng, page, colour))


def lost_emulsion(rng: Rng, page: Print) -> None:
    """Flaked-off patches, bare paper with sharp cracked borders."""
    cell = rng.uniform(4, 16)
    flakes = smooth_noise(rng, page.side, page.side, cell) + 0.4 * smooth_noise(rng, page.side, page.side, 3)
    where = smooth_noise(rng, page.side, page.side, page.side / 3)
    height = flakes + where - rng.uniform(1.1, 1.8)
    cover = np.clip(height * rng.uniform(3, 12), 0, 1).astype(np.float32)
    page.put(cover, _rough(rng, page, page.paper))


def torn(rng: Rng, page: Print) -> None:
    """A corner or a strip of the border is gone: a white rim of torn paper, beyond it the scanner's lid."""
    rows, columns = np.mgrid[: page.side, : page.side].astype(np.float32)
    turn = rng.uniform(0, 2 * np.pi) if rng.random() < 0.6 else rng.integers(4) * np.pi / 2
    away = (rows - page.side / 2) * np.sin(turn) + (columns - page.side / 2) * np.cos(turn)
    for cell, height in ((page.side / 4, 10), (12, 5), (4, 1.5)):
        away += rng.uniform(0, height) * smooth_noise(rng, page.side, page.side, cell)
    border = np.quantile(away, rng.uniform(0.8, 0.98))
    rim = np.clip(away - border + 0.5, 0, 1).astype(np.float32)
    page.put(rim, _rough(rng, page, page.paper))
    if rng.random() < 0.6:
        width = rng.uniform(1, 12) * np.exp(0.5 * smooth_noise(rng, page.side, page.side, 14))
        lid = np.clip(away - border - width + 0.5, 0, 1).astype(np.float32)
        page.put(lid, np.full(3, rng.choice([rng.uniform(235, 255), rng.uniform(0, 30)]), np.float32))


_KINDS: tuple[Callable[[Rng, Print], None], ...] = (
    scratches,
    crease,
    folds,
    dust,
    fibres,
    stains,
    lost_emulsion,
    torn,
    rubbing,
)
_SHARES = (0.34, 0.14, 0.07, 0.15, 0.08, 0.09, 0.05, 0.04, 0.04)
