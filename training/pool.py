"""Synthetic images drawn once and kept in a file, and batches of patches cut from them."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from training import photos
from training.degrade import Harm, aged, blurred, draw_harm, grainy, halved, softened, spoil
from training.leaves import Painter

SIDE = 512
FIRST_SEED = 1_000
_SHARE_OF_PHOTOS = 0.5
_SHARE_OF_SOFT = 0.5
_LARGE = 800


def real_photos(opencv_source: Path | None) -> list[NDArray[np.uint8]]:
    """Those of `training.photos`; large ones halved, which takes away what JPEG and noise left on them."""
    found = photos.for_training(opencv_source)
    return [_halved(photo) if min(photo.shape[:2]) > _LARGE else photo for photo in found]


def _halved(photo: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = photo.shape[:2]
    small: Any = cv2.resize(photo, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8)


@cache
def _painter() -> Painter:
    return Painter(0)


def _draw(seed: int) -> NDArray[np.uint8]:
    return _painter().draw(seed, SIDE)


def images(folder: Path, count: int, processes: int = 2) -> NDArray[np.uint8]:
    """(count, 512, 512, 3): drawn if they are not there yet, about 0.3 seconds each."""
    path = folder / f"leaves-{count}.npy"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        aside = path.with_suffix(".partial")
        drawn = np.lib.format.open_memmap(aside, "w+", np.uint8, (count, SIDE, SIDE, 3))
        with multiprocessing.get_context("spawn").Pool(processes) as pool:
            seeds = range(FIRST_SEED, FIRST_SEED + count)
            for index, image in enumerate(pool.imap(_draw, seeds, chunksize=8)):
                drawn[index] = image
        drawn.flush()
        aside.rename(path)
    loaded: NDArray[np.uint8] = np.load(path, mmap_mode="r")
    return loaded


class Patches(IterableDataset[tuple[Tensor, Tensor, Tensor]]):
    """Endless batches: harmed (N, 3, p, p), truth (N, 3, p * scale, p * scale), both bytes, and controls (N, 2)."""

    def __init__(
        self,
        pool: NDArray[np.uint8],
        *,
        scale: int,
        patch: int,
        batch: int,
        seed: int,
        real: list[NDArray[np.uint8]] | None = None,
    ) -> None:
        """`real`: photos that half of the patches come from."""
        self.real = real or []
        self.pool, self.scale, self.patch, self.batch, self.seed = pool, scale, patch, batch, seed

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        rng = np.random.default_rng(self.seed)
        while True:
            made = [self._pair(rng) for _ in range(self.batch)]
            harmed, truth = (
                torch.from_numpy(np.stack([pair[index] for pair in made])).permute(0, 3, 1, 2)
                for index in (0, 1)
            )
            yield harmed, truth, torch.tensor([pair[2].controls for pair in made])

    def _truth(self, side: int, rng: np.random.Generator) -> NDArray[np.uint8]:
        """A patch as it should be. Where it is to be enlarged, half of them are soft, as scans are."""
        is_real = bool(self.real) and rng.random() < _SHARE_OF_PHOTOS
        source = self.real if is_real else self.pool
        patch = aged(_turned(_cut(source[rng.integers(len(source))], side, rng), rng), rng)
        if self.scale == 1:
            return patch
        if rng.random() < _SHARE_OF_SOFT:
            return grainy(softened(patch, rng), rng)
        return patch if is_real else grainy(patch, rng)

    def _pair(self, rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.uint8], Harm]:
        truth = self._truth((self.patch + 24) * self.scale, rng)
        if self.scale == 1:
            harm = draw_harm(rng, clean=0.12, noise=9, most_noise=25, worst_quality=20)
            truth = blurred(truth, harm.blur)  # Softness is not what this network is to undo.
            harmed = spoil(truth, harm, rng)
        else:
            harm = draw_harm(rng, clean=0.4, noise=6, most_noise=13)
            harmed = spoil(halved(blurred(truth, harm.blur), rng), harm, rng)
        # Cut again, so that blocks of JPEG lie anywhere and nothing is seen of the border.
        top, left = rng.integers(8, 17, 2)
        patch, scale = self.patch, self.scale
        inner = harmed[top : top + patch, left : left + patch]
        top, left, patch = top * scale, left * scale, patch * scale
        return inner, truth[top : top + patch, left : left + patch], harm


def _cut(image: NDArray[np.uint8], side: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    top, left = (int(rng.integers(0, length - side + 1)) for length in image.shape[:2])
    return np.ascontiguousarray(image[top : top + side, left : left + side])


def _turned(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    image = np.rot90(image, rng.integers(4))
    return np.ascontiguousarray(image[:, ::-1] if rng.random() < 0.5 else image)


def batches(patches: Patches) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Made by another process while the network trains."""
    return iter(DataLoader(patches, batch_size=None, num_workers=1, prefetch_factor=8))
