"""What quality.py measures: how photos are spoilt, and who is asked to restore them."""

from __future__ import annotations

import importlib
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from quality_sheet import Strip

from relume.builtin.colour import balance
from relume.builtin.inpaint import repair
from relume.builtin.measure import Damage
from relume.builtin.nets import Nets
from relume.builtin.restorer import restore, run_task
from relume.imaging.compare import psnr
from relume.imaging.photo import Photo
from relume.imaging.resize import resize
from relume.ports import RunContext
from relume.tasks import Denoise, Upscale


@dataclass(frozen=True)
class Case:
    name: str
    spoilt: Photo
    truth: Photo


@dataclass(frozen=True)
class Task:
    """Photos made `scale` times smaller (by area), then noisy, then JPEG files of a quality."""

    name: str
    scale: int = 1
    sigma: float = 0.0
    quality: int = 100

    def case(self, name: str, truth: Photo) -> Case:
        """The noise is the same in each run."""
        rng = np.random.default_rng(zlib.crc32(f"{self.name} {name}".encode()))
        small = resize(truth, truth.width // self.scale, truth.height // self.scale)
        pixels = np.rint(small.pixels + rng.normal(0, self.sigma, small.pixels.shape))
        spoilt = np.clip(pixels, 0, 255).astype(np.uint8)
        return Case(name, Photo(spoilt if self.quality == 100 else _jpeg(spoilt, self.quality)), truth)

    def plain(self, photo: Photo) -> Photo:
        return resize(photo, photo.width * self.scale, photo.height * self.scale)

    def relume(self, photo: Photo, nets: Nets) -> Photo:
        task = Upscale(self.scale) if self.scale > 1 else Denoise()
        return run_task(task, photo, RunContext(), nets)[0]


TASKS = (
    Task("2 times, clean", scale=2),
    Task("2 times, noise 5 and JPEG 40", scale=2, sigma=5, quality=40),
    Task("4 times, clean", scale=4),
    Task("noise 10", sigma=10),
    Task("noise 5 and JPEG 40", sigma=5, quality=40),
)

Row = tuple[dict[str, Any], list[Strip]]


def untouched_row(photos: dict[str, Photo]) -> Row:
    """What the whole automatic restoration does to photos that need none."""
    nets, errors, empty = Nets(), [], 0
    for photo in photos.values():
        made, _ = restore(photo, RunContext(), nets=nets)
        errors.append(99.0 if made.pixels is photo.pixels else psnr(made.pixels, photo.pixels))
        empty += not _damage(photo, nets).scratches.mask.any()
    return {
        "sound photos through the automatic restoration, dB (99: not touched)": _spread(errors),
        "sound photos in which no damage is found": f"{empty} of {len(photos)}",
    }, []


def damage_row(photos: dict[str, Photo]) -> Row:
    """Scratches, creases, specks and blots by another generator than the finder was trained with."""
    generator = _training("evaluate_mask")
    if generator is None:
        return {}, []
    nets, before, after, clean, empty, strips = Nets(), [], [], [], 0, []
    cases = list(generator.cases({name: photo.pixels for name, photo in photos.items()}))
    for case in cases:
        broken, whole = Photo(case.damaged), Photo(case.clean)
        mended, _ = repair(broken, _damage(broken, nets), RunContext())
        left, _ = repair(whole, _damage(whole, nets), RunContext())
        before.append(psnr(case.damaged, case.clean))
        after.append(psnr(mended.pixels, case.clean))
        clean.append(min(psnr(left.pixels, case.clean), 99.0))
        empty += left.pixels is whole.pixels
        pictures = {"before": case.damaged, "Relume": mended.pixels, "truth": case.clean}
        strips.append(Strip(f"damage: {case.photo}, {case.look}", pictures))
    return {
        "damage, dB before": _spread(before),
        "damage, dB after": _spread(after),
        "the same photos undamaged, dB after a repair (99: not touched)": _spread(clean),
        "of these, left alone": f"{empty} of {len(cases)}",
    }, strips


def colour_row(photos: dict[str, Photo], fadings: int = 8) -> Row:
    """Faded colour by another fading than the network was trained with, as CIEDE2000."""
    generator = _training("evaluate_colour")
    if generator is None:
        return {}, []
    nets, before, after, strips = Nets(), [], [], []
    for name, photo in photos.items():
        truth = generator.shrunk(photo.pixels)
        for seed in range(fadings):
            faded = Photo(generator.faded(truth, np.random.default_rng([seed, len(name)])))
            made, _ = _balance(faded, nets)
            before.append(generator.delta_e(faded.pixels, truth))
            after.append(generator.delta_e(made.pixels, truth))
            pictures = {"before": faded.pixels, "Relume": made.pixels, "truth": truth}
            strips.append(Strip(f"faded: {name}", pictures))
    worse = np.mean(np.array(after) > np.array(before) + 0.5)
    return {
        "faded colour, mean CIEDE2000 before": f"{np.mean(before):.2f}",
        "faded colour, mean CIEDE2000 after": f"{np.mean(after):.2f}",
        "of these, made worse by more than 0.5": f"{100 * worse:.0f} %",
    }, strips[::fadings]


def _damage(photo: Photo, nets: Nets) -> Any:
    return Damage(photo, nets)


def _balance(photo: Photo, nets: Nets) -> Any:
    return balance(photo, Damage(photo, nets), RunContext())


def _training(name: str) -> Any:
    """A module of training/, which an installed package does not have."""
    try:
        return importlib.import_module(f"training.{name}")
    except ModuleNotFoundError as error:
        print(f"training.{name} is not here ({error}): left out")
        return None


def _spread(values: list[float]) -> str:
    return f"{np.mean(values):.2f} (worst {min(values):.2f})"


def _jpeg(pixels: np.ndarray[Any, Any], quality: int) -> Any:
    """As most programs write it: colours at half the size."""
    _, file = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    read = cv2.imdecode(file, cv2.IMREAD_UNCHANGED)
    assert read is not None
    restored: Callable[..., Any] = np.ascontiguousarray
    return restored(read[..., None] if read.ndim == 2 else read[..., ::-1])
