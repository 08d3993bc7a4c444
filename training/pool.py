"""Synthetic images drawn once and kept in a file, and batches of patches cut from them."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import skimage
import torch
from numpy.typing import NDArray
from PIL import Image as Pil
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from training.degrade import Harm, aged, blurred, draw_harm, grainy, halved, softened, spoil
from training.leaves import Painter

SIDE = 512
FIRST_SEED = 1_000
PHOTOS = (
    *("rocket.jpg", "motorcycle_left.png", "motorcycle_right.png", "hubble_deep_field.jpg"),
    *("grass.png", "gravel.png", "brick.png", "ihc.png"),
)
"""Of the photos that scikit-image ships: no quality is ever measured on these."""
_SHARE_OF_PHOTOS = 0.3


@cache
def photos() -> tuple[NDArray[np.uint8], ...]:
    """(height, width, 3) each: they come with scikit-image, in the public domain or under CC0."""
    folder = Path(skimage.__file__).parent / "data"
    return tuple(np.asarray(Pil.open(folder / name).convert("RGB")) for name in PHOTOS)


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

    def __init__(self, pool: NDArray[np.uint8], *, scale: int, patch: int, batch: int, seed: int) -> None:
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

    def _picture(self, rng: np.random.Generator) -> NDArray[np.uint8]:
        if self.scale > 1 and rng.random() < _SHARE_OF_PHOTOS:
            return photos()[rng.integers(len(PHOTOS))]
        return self.pool[rng.integers(len(self.pool))]

    def _pair(self, rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.uint8], Harm]:
        outer = (self.patch + 24) * self.scale
        truth = aged(_turned(_cut(self._picture(rng), outer, rng), rng), rng)
        if self.scale == 1:
            harm = draw_harm(rng, clean=0.12, noise=9, most_noise=25, worst_quality=20)
            truth = blurred(truth, harm.blur)  # Softness is not what this network is to undo.
            harmed = spoil(truth, harm, rng)
        else:
            harm = draw_harm(rng, clean=0.4, noise=6, most_noise=13)
            truth = grainy(softened(truth, rng), rng)
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
