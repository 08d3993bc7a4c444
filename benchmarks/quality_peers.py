"""Whom quality.py sets beside Relume: classical filters at their best, and Real-ESRGAN where it is at hand."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol, Self

import anyio
import cv2
import numpy as np
from quality_tasks import Case, Task
from skimage import restoration

from relume.imaging.compare import psnr
from relume.imaging.photo import Photo
from relume.ports import RunContext
from relume.providers.local import LocalProvider
from relume.settings import Settings
from relume.tasks import Upscale

Array = np.ndarray[Any, Any]
Filter = Callable[[Array], Array]
TUNING_SIDE = 192
"""Parameters are chosen on the middle of each photo, by the truth."""


def filters() -> Iterator[tuple[str, Filter]]:
    """(height, width, 1 or 3) uint8 to the same, each with a range of strengths."""
    yield "none", lambda pixels: pixels
    for size in (3, 5):
        yield f"OpenCV median {size}", lambda pixels, size=size: _shaped(cv2.medianBlur(pixels, size), pixels)
    for colour in (12, 20, 30, 45):
        for space in (1.2, 1.8, 3.0):
            yield (
                f"OpenCV bilateral, colour {colour}, space {space}",
                lambda pixels, colour=colour, space=space: _shaped(
                    cv2.bilateralFilter(pixels, -1, colour, space), pixels
                ),
            )
    for strength in (3, 5, 7, 10):
        yield f"OpenCV non-local means {strength}", lambda pixels, h=strength: _non_local(pixels, h)
    for weight in (0.02, 0.04, 0.07, 0.11):
        yield (
            f"scikit-image TV {weight}",
            lambda pixels, weight=weight: _bytes(
                restoration.denoise_tv_chambolle(pixels / 255, weight=weight, channel_axis=2)
            ),
        )
    for strength in (3, 5, 8, 12):
        yield (
            f"scikit-image non-local means {strength}",
            lambda pixels, h=strength: _patches(pixels, h),
        )
    if importlib.util.find_spec("pywt") is not None:
        for sigma in (2, 4, 7, 10):
            yield f"scikit-image wavelet BayesShrink {sigma}", lambda pixels, s=sigma: _wavelet(pixels, s)


def _patches(pixels: Array, strength: float) -> Array:
    """scikit-image takes a single channel only without its axis."""
    is_grey = pixels.shape[2] == 1
    smooth = restoration.denoise_nl_means(
        (pixels[..., 0] if is_grey else pixels) / 255,
        h=0.8 * strength / 255,
        sigma=strength / 255,
        patch_size=5,
        patch_distance=6,
        channel_axis=None if is_grey else 2,
    )
    return _shaped(_bytes(smooth), pixels)


def best_filter(task: Task, cases: list[Case]) -> tuple[str, Callable[[Photo], Photo]]:
    """The one with the highest mean PSNR, followed by Lanczos where the task enlarges."""

    def run(photo: Photo, use: Filter) -> Photo:
        return task.plain(photo.with_pixels(use(photo.pixels)))

    best, chosen = -np.inf, ("none", lambda pixels: pixels)
    small = [_middle(task, case) for case in cases]
    for name, use in filters():
        mean = float(np.mean([psnr(run(case.spoilt, use).pixels, case.truth.pixels) for case in small]))
        if mean > best:
            best, chosen = mean, (name, use)
    name, use = chosen
    return name if task.scale == 1 else f"{name}, then Lanczos", lambda photo: run(photo, use)


def _middle(task: Task, case: Case) -> Case:
    side = TUNING_SIDE // task.scale
    top, left = ((length - side) // 2 for length in case.spoilt.pixels.shape[:2])
    spoilt = case.spoilt.pixels[top : top + side, left : left + side]
    at = (
        slice(top * task.scale, (top + side) * task.scale),
        slice(left * task.scale, (left + side) * task.scale),
    )
    return Case(
        case.name, Photo(np.ascontiguousarray(spoilt)), Photo(np.ascontiguousarray(case.truth.pixels[at]))
    )


class Peer(Protocol):
    name: str

    def does(self, task: Task) -> bool: ...

    def run(self, task: Task, photo: Photo) -> Photo: ...


class RealEsrgan:
    """Real weights, by Relume's own engine, which computes what the reference programs do."""

    name = "Real-ESRGAN"

    def __init__(self, provider: LocalProvider) -> None:
        self._provider = provider

    @classmethod
    def found(cls, folder: Path) -> Self | None:
        """None where the folder has no upscaler."""
        provider = LocalProvider.from_settings(Settings(weights_dir=folder.absolute()))
        return cls(provider) if provider.supports(Upscale(2)) else None

    def does(self, task: Task) -> bool:
        return task.scale > 1 and self._provider.supports(Upscale(task.scale))

    def run(self, task: Task, photo: Photo) -> Photo:
        made = anyio.run(self._provider.run, Upscale(task.scale), photo, RunContext()).photo
        assert made is not None
        return made


def _non_local(pixels: Array, strength: float) -> Array:
    if pixels.shape[2] == 1:
        return _shaped(cv2.fastNlMeansDenoising(pixels, None, strength, 5, 15), pixels)
    return _shaped(cv2.fastNlMeansDenoisingColored(pixels, None, strength, strength, 5, 15), pixels)


def _wavelet(pixels: Array, sigma: float) -> Array:
    options = {"method": "BayesShrink", "mode": "soft", "sigma": sigma / 255, "rescale_sigma": True}
    if pixels.shape[2] == 3:
        return _bytes(
            restoration.denoise_wavelet(pixels / 255, channel_axis=2, convert2ycbcr=True, **options)
        )
    return _bytes(restoration.denoise_wavelet(pixels[..., 0] / 255, **options)[..., None])


def _shaped(made: Any, like: Array) -> Array:
    return np.asarray(made, np.uint8).reshape(like.shape)


def _bytes(made: Any) -> Array:
    return np.rint(np.clip(made, 0, 1) * 255).astype(np.uint8)
