"""Models in 8-bit integers by post-training quantisation, calibrated on tiles of the user's own photos.

What a model's values look like depends on what it is shown. Random noise would set the ranges for pictures
nobody has, so the tiles come from photos that are really worked on, and are kept beside the converted models.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import logging
from pathlib import Path
from typing import Any

import numpy as np

from relume.engines.engine import EngineOptions
from relume.engines.enlarge import to_model
from relume.engines.models import ModelShape, ModelUnusable
from relume.engines.openvino import cache_folder, convert, save
from relume.engines.packages import nncf, openvino
from relume.engines.weights import Weights, write_whole
from relume.imaging.tiles import Array
from relume.telemetry import logger

log = logger(__name__)

ENOUGH_TILES = 24
SIDE = 96
_FROM_ONE_PHOTO = 8
"""So that the first photo does not decide alone."""
_FLAT = 2 / 255
"""Standard deviation below which a tile, of sky or paper, tells nothing."""


class Calibration:
    """Tiles of photos in a folder. Several processes may add to it at once."""

    def __init__(self, cache: Path) -> None:
        self._folder = cache / "calibration"

    def count(self) -> int:
        return len(self._files())

    @property
    def is_enough(self) -> bool:
        return self.count() >= ENOUGH_TILES

    def add(self, pixels: Array) -> int:
        """Keep the most detailed tiles of a photo (height, width, 1 or 3). How many were kept."""
        wanted = min(_FROM_ONE_PHOTO, ENOUGH_TILES - self.count())
        tiles = sorted(_cut(pixels), key=lambda tile: -float(tile.std()))
        telling = [tile for tile in tiles if tile.std() > _FLAT][: max(wanted, 0)]
        for tile in telling:
            data = io.BytesIO()
            np.save(data, np.round(tile * 255).astype(np.uint8), allow_pickle=False)
            name = hashlib.sha256(data.getvalue()).hexdigest()[:32]
            write_whole(self._folder / f"{name}.npy", data.getvalue())
        return len(telling)

    def tiles(self) -> list[Array]:
        """(1, 3, 96, 96) each, float32 from 0 to 1."""
        return [np.load(path, allow_pickle=False).astype(np.float32) / 255 for path in self._files()]

    def _files(self) -> list[Path]:
        return sorted(self._folder.glob("[!.]*.npy")) if self._folder.is_dir() else []


def is_quantised(weights: Weights, options: EngineOptions) -> bool:
    return (cache_folder(weights, options, "int8") / "about.json").exists()


def quantise(weights: Weights, options: EngineOptions) -> None:
    """Make the 8-bit version of an upscaler, once. Takes about a minute on two cores.

    Raises ModelUnusable where there are too few tiles, or the model is none for this.
    """
    tiles = Calibration(options.cache).tiles()
    if len(tiles) < ENOUGH_TILES:
        raise ModelUnusable(f"{len(tiles)} of {ENOUGH_TILES} tiles of photos have been collected")
    plain = cache_folder(weights, options, "f32")
    if not (plain / "about.json").exists():
        convert(weights, plain)
    about = json.loads((plain / "about.json").read_text(encoding="utf-8"))
    shape = ModelShape(**about["shape"])
    if shape.kind != "upscaler" or shape.side is not None:
        raise ModelUnusable("only upscalers that take images of any size are quantised")
    log.info("model.quantising", weights=weights.path.name, tiles=len(tiles))
    graph = openvino().Core().read_model(plain / "model.xml")
    save(_in_integers(graph, tiles), shape, cache_folder(weights, options, "int8"))


def _in_integers(graph: Any, tiles: list[Array]) -> Any:
    """Symmetric weights, asymmetric activations where they need it.

    Sums are not rounded: a deep network is one long sum of small changes, and every rounding stays in it. Nor are
    the convolutions at its ends, through which everything passes. On Real-ESRGAN's full net with random weights,
    40 dB to float32 instead of 32.
    """
    library = nncf()
    logging.getLogger("nncf").setLevel(logging.WARNING)  # Below, it tells of every operation it passes by.
    convolutions = [
        op.get_friendly_name() for op in graph.get_ordered_ops() if op.get_type_name() == "Convolution"
    ]
    ends = sorted({*convolutions[:1], *convolutions[-2:]})
    with contextlib.redirect_stdout(io.StringIO()):  # It draws bars there, where `--json` has its results.
        return library.quantize(
            graph,
            library.Dataset(tiles),
            subset_size=len(tiles),
            preset=library.QuantizationPreset.MIXED,
            fast_bias_correction=True,
            ignored_scope=library.IgnoredScope(names=ends, types=["Add", "Multiply"], validate=False),
        )


def _cut(pixels: Array) -> list[Array]:
    """Whole tiles from a grid, in what models take."""
    height, width = pixels.shape[:2]
    corners = [
        (top, left) for top in range(0, height - SIDE + 1, SIDE) for left in range(0, width - SIDE + 1, SIDE)
    ]
    return [to_model(pixels[top : top + SIDE, left : left + SIDE][None]) for top, left in corners]
