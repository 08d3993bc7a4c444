"""An endless stream of damaged and clean prints to train on, the same for the same seed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from skimage import data
from torch import Tensor
from torch.utils.data import IterableDataset

from training import photos
from training.damage import make_sample
from training.damage_scenes import Image, Rng, draw_scene

SCENE_SIDE = 384
CLEAN_SHARE = 0.4
_PHOTO_SHARE, _TEXTURE_SHARE = 0.5, 0.1
TEXTURES = (
    "brick",
    "grass",
    "gravel",
    "hubble_deep_field",
    "immunohistochemistry",
    "moon",
    "page",
    "retina",
    "text",
)
"""Of scikit-image, shipped in its wheel; so are the two views of a motorcycle. Astronaut, chelsea and coffee
are held out; camera, coins and rocket are kept to choose thresholds by."""
KEPT_TO_CHOOSE = frozenset({"rocket"})
"""Of the photos in `training.photos`."""

Pool = NDArray[np.uint8]
"""(scenes, side, side, 3)."""


def scene_pool(path: Path, count: int, seed: int) -> Pool:
    """Scenes drawn once and kept at `path`."""
    shape = count, SCENE_SIDE, SCENE_SIDE, 3
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".part")
        pool = np.memmap(draft, np.uint8, "w+", shape=shape)
        for index in range(count):
            pool[index] = draw_scene(np.random.default_rng((seed, index)), SCENE_SIDE)
        pool.flush()
        draft.rename(path)
    return np.memmap(path, np.uint8, "r", shape=shape)


def _textures() -> list[NDArray[np.uint8]]:
    found = [np.asarray(getattr(data, name)(), np.uint8) for name in TEXTURES]
    found += [np.asarray(view, np.uint8) for view in data.stereo_motorcycle()[:2]]
    return [photo if photo.ndim == 3 else np.repeat(photo[..., None], 3, axis=2) for photo in found]


class Prints(IterableDataset[tuple[Tensor, Tensor]]):
    """(3, side, side) uint8 pictures with (side, side) uint8 labels."""

    def __init__(self, pool: Path, count: int, side: int, seed: int, opencv_source: Path | None) -> None:
        """`pool`: where `scene_pool` keeps `count` scenes. A path, as a worker process would copy an array."""
        self._pool, self._count, self._side, self._seed = pool, count, side, seed
        self._opencv_source = opencv_source

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        cv2.setNumThreads(1)
        pool, textures = scene_pool(self._pool, self._count, self._seed), _textures()
        real = photos.for_training(self._opencv_source, without=KEPT_TO_CHOOSE)
        index = 0
        while True:
            rng = np.random.default_rng((self._seed, index))
            kind = rng.random()
            sources = (
                real if kind < _PHOTO_SHARE else textures if kind < _PHOTO_SHARE + _TEXTURE_SHARE else pool
            )
            source = sources[rng.integers(len(sources))]
            scene = _crop(rng, source, self._side)
            sample = make_sample(rng, scene, is_clean=bool(rng.random() < CLEAN_SHARE))
            image = np.ascontiguousarray(sample.image.transpose(2, 0, 1))
            yield torch.from_numpy(image), torch.from_numpy(sample.label)
            index += 1


def _crop(rng: Rng, source: NDArray[np.uint8], side: int) -> Image:
    """A square of the source at some zoom, turned and mirrored at random.

    Mostly smaller than it was, down to a third: then real things are as thin and as sharp as scratches.
    """
    taken = int(min(side / np.exp(rng.uniform(-1.1, 0.5)), *source.shape[:2]))
    top, left = (rng.integers(0, length - taken + 1) for length in source.shape[:2])
    piece = source[top : top + taken, left : left + taken]
    kernel = cv2.INTER_AREA if taken > side else int(rng.choice([cv2.INTER_LINEAR, cv2.INTER_CUBIC]))
    scene = cv2.resize(piece, (side, side), interpolation=kernel).astype(np.float32)
    scene = np.rot90(scene, rng.integers(4))
    return np.ascontiguousarray(scene[:, ::-1] if rng.random() < 0.5 else scene)
