"""How long the whole automatic restoration takes, beside the network of Real-ESRGAN on the same threads."""

from __future__ import annotations

import importlib.util
import statistics
import time
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from skimage import data as samples

from relume.builtin.nets import Nets
from relume.builtin.restorer import restore
from relume.imaging.photo import Photo
from relume.imaging.resize import resize
from relume.ports import RunContext

SIDE = 1000
NOISE_SIGMA = 8.0
PEER_TILE = 400
RUNS = 3


def speed(threads: int) -> dict[str, Any]:
    """Seconds from a noisy megapixel to four, and how many times as long the peer takes for its enlarging alone."""
    photo = _photo()
    figures: dict[str, Any] = {"threads": threads}
    peer = peer_seconds(threads)
    if peer is not None:
        figures["RRDBNet for 2 times, torch float32, seconds a megapixel"] = f"{peer:.1f}"
    qualities: tuple[Literal["fast", "best"], ...] = ("fast", "best")
    for quality in qualities:
        nets = Nets(quality=quality, threads=threads)
        seconds = _median(lambda nets=nets: restore(photo, RunContext(), 2, nets))
        share = "" if peer is None else f", {peer / seconds:.0f} times as fast as the peer"
        figures[f"1 to 4 megapixels, {quality}, seconds"] = f"{seconds:.2f}{share}"
    return figures


def peer_seconds(threads: int) -> float | None:
    """For a megapixel, from one tile of 400 pixels, random weights of Real-ESRGAN's full size for 2 times."""
    if importlib.util.find_spec("torch") is None or importlib.util.find_spec("spandrel") is None:
        return None
    from relume.engines.packages import architecture, torch

    torch().set_num_threads(threads)
    torch().manual_seed(7)
    model = architecture("ESRGAN").ESRGAN(in_nc=12, scale=4, shuffle_factor=2).eval()
    tile = torch().rand(1, 3, PEER_TILE, PEER_TILE)

    def run() -> None:
        with torch().no_grad():
            assert model(tile).shape[-1] == 2 * PEER_TILE

    return _median(run) * 1e6 / PEER_TILE**2


def _photo() -> Photo:
    clean = resize(Photo(np.asarray(samples.astronaut())), SIDE, SIDE)
    noisy = clean.pixels + np.random.default_rng(7).normal(0, NOISE_SIGMA, clean.pixels.shape)
    return Photo(np.clip(noisy, 0, 255).astype(np.uint8))


def _median(work: Callable[[], object]) -> float:
    """After one run that does not count."""
    work()
    seconds = []
    for _ in range(RUNS):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)
