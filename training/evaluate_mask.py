"""Measure the damage finder and the fill on photos held out: `python -m training.evaluate_mask`.

The damage here is drawn by other means than in training: discs stamped along Bezier curves, fractal lines,
walks, polygons and sums of bumps. Photos: scikit-learn's china and flower, scikit-image's astronaut, chelsea
and coffee, matplotlib's grace_hopper where installed; each in colour, greyscale, sepia and faded.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage import data

from relume.builtin.cards import SHIPPED, NetTable
from relume.builtin.inpaint import repair
from relume.builtin.measure import Damage
from relume.builtin.nets import Nets
from relume.imaging.photo import Photo
from relume.ports import RunContext
from training import photos

Picture = NDArray[Any]
Mask = NDArray[np.bool_]
Rng = np.random.Generator

LOOKS = ("colour", "greyscale", "sepia", "faded")
_VISIBLY_OFF = 8
_FINER = 3


def held_out() -> dict[str, Picture]:
    """The photos that no training and no choice saw."""
    return photos.held_out()


def for_choosing() -> dict[str, Picture]:
    """Photos to choose thresholds by: not trained on either."""
    chosen = {name: np.asarray(getattr(data, name)(), np.uint8) for name in ("camera", "coins", "rocket")}
    return {name: np.repeat(p[..., None], 3, 2) if p.ndim == 2 else p for name, p in chosen.items()}


def look(photo: Picture, name: str) -> NDArray[Any]:
    levels = photo.astype(np.float32)
    grey = levels @ np.array([0.299, 0.587, 0.114], np.float32)
    if name == "greyscale":
        return np.repeat(grey[..., None], 3, axis=2)
    if name == "sepia":
        at = np.clip((grey - 8) / 235, 0, 1)
        return (np.stack([at**0.75, at, at**1.5], axis=-1) * 240).astype(np.float32)
    if name == "faded":
        return 0.55 * (0.6 * levels + 0.4 * grey[..., None]) + np.array([75, 62, 50], np.float32)
    return levels


# --- The other generator ----------------------------------------------------------------------------------


def damage(rng: Rng, picture: NDArray[Any]) -> NDArray[Any]:
    """A picture with three to six lines, two creases at most, specks, and blots at times."""
    height, width = picture.shape[:2]
    paper = np.clip(np.percentile(picture, 99) + rng.uniform(-15, 20), 170, 252) * np.array([1, 0.99, 0.96])
    dark = rng.uniform(5, 50, 3)
    result = picture.copy()
    for _ in range(rng.integers(2, 5)):
        cover = _stamped(rng, height, width, _bezier(rng, height, width), rng.uniform(0.6, 3.2))
        result = _over(result, cover * rng.uniform(0.55, 1), paper if rng.random() < 0.75 else dark)
    for _ in range(rng.integers(0, 3)):
        cover = _stamped(rng, height, width, _fractal(rng, height, width), rng.uniform(0.8, 2.4))
        result = _over(result, cover, paper)
    if rng.random() < 0.5:
        cover = _stamped(rng, height, width, _walk(rng, height, width), rng.uniform(0.5, 1))
        result = _over(result, cover, paper if rng.random() < 0.5 else dark)
    result = _over(result, _specks(rng, height, width), paper if rng.random() < 0.7 else dark)
    if rng.random() < 0.4:
        result = _over(result, _blots(rng, height, width), dark + np.array([40, 20, 0]))
    return result.astype(np.float32)


def scan(rng: Rng, picture: NDArray[Any], grain: NDArray[Any]) -> Picture:
    seen = cv2.GaussianBlur(picture + grain, (0, 0), 0.45) + rng.normal(0, 1.2, picture.shape)
    pixels = np.clip(seen, 0, 255).round().astype(np.uint8)
    _, coded = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])
    decoded: Any = cv2.imdecode(coded, cv2.IMREAD_COLOR)
    return np.ascontiguousarray(decoded[..., ::-1])


def _over(picture: NDArray[Any], cover: NDArray[Any], colour: NDArray[Any]) -> NDArray[Any]:
    made: NDArray[Any] = (picture + cover[..., None] * (colour - picture)).astype(np.float32)
    return made


def _bezier(rng: Rng, height: int, width: int) -> NDArray[Any]:
    scale = np.array([width, height])
    knots = rng.uniform(-0.1, 1.1, (4, 2)) * scale
    if rng.random() < 0.5:  # nearly straight
        knots[1:3] = knots[[0, 3]] + rng.normal(0, 15, (2, 2)) + (knots[3] - knots[0]) * [[0.33], [-0.33]]
    if rng.random() < 0.4:  # short
        knots = knots[0] + (knots - knots[0]) * rng.uniform(0.1, 0.4)
    at = np.linspace(0, 1, 1500)[:, None]
    path: NDArray[Any] = (
        (1 - at) ** 3 * knots[0]
        + 3 * at * (1 - at) ** 2 * knots[1]
        + 3 * at**2 * (1 - at) * knots[2]
        + at**3 * knots[3]
    )
    return path


def _fractal(rng: Rng, height: int, width: int) -> NDArray[Any]:
    """Midpoint displacement between two borders."""
    scale = np.array([width, height])
    ends = rng.uniform(0, 1, (2, 2))
    ends[:, rng.integers(2)] = (-0.02, 1.02)
    points, reach = ends * scale, max(height, width) * 0.02
    for _ in range(10):
        middle = (points[1:] + points[:-1]) / 2 + rng.normal(0, reach, (len(points) - 1, 2))
        points = np.insert(points, np.arange(1, len(points)), middle, axis=0)
        reach *= 0.5
    made: NDArray[Any] = points
    return made


def _walk(rng: Rng, height: int, width: int) -> NDArray[Any]:
    turns = np.cumsum(rng.normal(0, 0.08, 400)) + rng.uniform(0, 6)
    steps = np.stack([np.cos(turns), np.sin(turns)], axis=1) * rng.uniform(0.2, 0.6)
    path: NDArray[Any] = rng.uniform(0, 1, 2) * [width, height] + np.cumsum(steps, axis=0)
    return path


def _stamped(rng: Rng, height: int, width: int, path: NDArray[Any], radius: float) -> NDArray[Any]:
    """Discs along a path; the radius swings, and here and there the stroke lifts off."""
    canvas = np.zeros((height * _FINER, width * _FINER), np.uint8)
    at = np.linspace(0, 1, len(path))
    radii = radius * (1 + 0.4 * np.sin(at * rng.uniform(5, 60) + rng.uniform(0, 6)))
    lifts = rng.random() < 0.4
    keep = np.sin(at * rng.uniform(20, 80) + rng.uniform(0, 6)) > (-0.6 if lifts else -2)
    for point, size in zip(path[keep] * _FINER, radii[keep] * _FINER, strict=True):
        if -50 < point[0] < canvas.shape[1] + 50 and -50 < point[1] < canvas.shape[0] + 50:
            cv2.circle(canvas, (int(point[0]), int(point[1])), max(1, round(size)), 255, -1)
    return _averaged(canvas, height, width)


def _specks(rng: Rng, height: int, width: int) -> NDArray[Any]:
    canvas = np.zeros((height * _FINER, width * _FINER), np.uint8)
    for _ in range(rng.integers(5, 60)):
        corners = (
            rng.normal(0, rng.uniform(0.7, 2.2) * _FINER, (7, 2)) + rng.uniform(0, 1, 2) * canvas.shape[::-1]
        )
        cv2.fillConvexPoly(canvas, cv2.convexHull(corners.round().astype(np.int32)), 255)
    return _averaged(canvas, height, width)


def _blots(rng: Rng, height: int, width: int) -> NDArray[Any]:
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    total = np.zeros((height, width), np.float32)
    for _ in range(rng.integers(1, 4)):
        middle = rng.uniform(0, 1, 2) * (height, width)
        for _ in range(5):
            size = rng.uniform(2, 7)
            place = middle + rng.normal(0, 5, 2)
            total += np.exp(-((rows - place[0]) ** 2 + (columns - place[1]) ** 2) / (2 * size**2))
    cover: NDArray[Any] = np.clip((total - 0.6) * 3, 0, 0.9)
    return cover


def _averaged(canvas: NDArray[Any], height: int, width: int) -> NDArray[Any]:
    return cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32) / 255


# --- Cases and figures ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    photo: str
    look: str
    clean: Picture
    damaged: Picture
    truth: Mask


def cases(photos: dict[str, Picture], seed: int = 11) -> Iterator[Case]:
    for number, (name, photo) in enumerate(sorted(photos.items())):
        for kind, look_name in enumerate(LOOKS):
            rng = np.random.default_rng((seed, number, kind))
            picture = look(photo, look_name)
            broken = damage(rng, picture)
            grain = rng.normal(0, 0 if look_name == "colour" else 3.0, picture.shape[:2])[..., None]
            blurred = [np.clip(cv2.GaussianBlur(image, (0, 0), 0.45), 0, 255) for image in (picture, broken)]
            truth = np.abs(blurred[0] - blurred[1]).max(axis=-1) > _VISIBLY_OFF
            state = rng.bit_generator.state
            clean = scan(rng, picture, grain.astype(np.float32))
            rng.bit_generator.state = state
            yield Case(name, look_name, clean, scan(rng, broken, grain.astype(np.float32)), truth)


def psnr(picture: Picture, truth: Picture) -> float:
    error = float(np.mean((picture.astype(np.float32) - truth) ** 2))
    return 99.0 if error == 0 else float(10 * np.log10(255**2 / error))


def f1(found: Mask, truth: Mask, tolerance: int = 0) -> float:
    """Harmonic mean of precision and recall; `tolerance` pixels beside still count."""
    if not truth.any():
        return 0.0
    kernel = np.ones((2 * tolerance + 1, 2 * tolerance + 1), np.uint8)
    near_truth = cv2.dilate(truth.astype(np.uint8), kernel) > 0
    near_found = cv2.dilate(found.astype(np.uint8), kernel) > 0
    precision = float((found & near_truth).sum() / max(found.sum(), 1))
    recall = float((truth & near_found).sum() / truth.sum())
    return 2 * precision * recall / max(precision + recall, 1e-9)


def report(photos: dict[str, Picture], nets: Nets) -> None:
    rows = []
    for case in cases(photos):
        broken, whole = Photo(case.damaged), Photo(case.clean)
        found = Damage(broken, nets)
        fixed, _ = repair(broken, found, RunContext())
        alarm = Damage(whole, nets)
        left, _ = repair(whole, alarm, RunContext())
        row = (
            f1(found.scratches.mask, case.truth),
            f1(found.scratches.mask, case.truth, 1),
            psnr(case.damaged, case.clean),
            psnr(fixed.pixels, case.clean) - psnr(case.damaged, case.clean),
            100 * alarm.scratches.share,
            psnr(left.pixels, case.clean),
        )
        rows.append((case.photo, case.look, *row))
        print(
            f"{case.photo:16} {case.look:10} F1 {row[0]:.2f} / {row[1]:.2f}   damaged {row[2]:.2f} dB, "
            f"gain {row[3]:+.2f} dB   clean: mask {row[4]:.3f} %, {row[5]:.1f} dB",
            flush=True,
        )
    figures = np.array([row[2:] for row in rows])
    strict, near, before, gain = figures[:, :4].mean(axis=0)
    print(
        f"\nF1 {strict:.3f}, with 1 pixel tolerance {near:.3f}; damaged {before:.2f} dB, repair {gain:+.2f} dB"
    )
    empty = 100 * np.mean(figures[:, 4] == 0)
    print(
        f"Clean: {empty:.0f} % empty masks; median {np.median(figures[:, 5]):.1f} dB, "
        f"5th percentile {np.percentile(figures[:, 5], 5):.1f} dB"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--choosing", action="store_true", help="measure on the photos for choosing instead")
    parser.add_argument("--models", type=Path, default=SHIPPED, help="folder with models.json")
    options = parser.parse_args()
    report(for_choosing() if options.choosing else held_out(), Nets(NetTable(options.models)))


if __name__ == "__main__":
    main()
