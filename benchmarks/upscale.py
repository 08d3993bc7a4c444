"""Our upscaling beside the reference programs': the same weights, photo and threads, in one run.

The peer is what the reference programs do: torch in float32, tiles of 400 pixels with 10 pixels around each.
Against it: the engine that the service uses, in f32, bf16 (where the processor has it) and int8, with the same
10 pixels. Random weights of Real-ESRGAN's full size (23 blocks, 64 features) unless `--weights` names a file;
they are scaled so that their pictures have a photo's contrast, as a flat picture would flatter every PSNR. Run
it on a quiet machine with the project's environment and the extra `local`:
`.venv/bin/python benchmarks/upscale.py`. Takes about ten minutes on two cores.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from skimage import data as samples

from relume.engines.engine import EngineOptions
from relume.engines.enlarge import Upscaler, enlarge
from relume.engines.models import identify, load_torch
from relume.engines.openvino import has_bf16, load_openvino
from relume.engines.packages import architecture, torch
from relume.engines.quantise import Calibration, quantise
from relume.engines.reach import overlap_of
from relume.engines.weights import Weights, WeightsFolder
from relume.imaging.compare import psnr
from relume.imaging.photo import Photo, Pixels
from relume.imaging.resize import resize
from relume.ports import RunContext

PEER_TILE, PEER_PADDING = 400, 10
MATRIX_SIDE = 4096
BORDER = 100
CONTRAST = 0.2
"""Standard deviation of a usual photo, of 1."""


def peer(model: Any, pixels: Pixels, scale: int) -> Pixels:
    """Tile by tile in torch float32, padded where there is a neighbour: what the reference programs do."""
    image = torch().from_numpy(pixels.astype(np.float32) / 255).permute(2, 0, 1)[None]
    height, width = image.shape[2:]
    output = torch().zeros(1, 3, height * scale, width * scale)
    for top in range(0, height, PEER_TILE):
        for left in range(0, width, PEER_TILE):
            bottom, right = min(top + PEER_TILE, height), min(left + PEER_TILE, width)
            up, across = max(top - PEER_PADDING, 0), max(left - PEER_PADDING, 0)
            tile = image[:, :, up : bottom + PEER_PADDING, across : right + PEER_PADDING]
            with torch().no_grad():
                made = model(tile)
            rows = slice((top - up) * scale, (bottom - up) * scale)
            columns = slice((left - across) * scale, (right - across) * scale)
            inside = made[:, :, rows, columns]
            output[:, :, top * scale : bottom * scale, left * scale : right * scale] = inside
    values = output[0].clamp(0, 1).permute(1, 2, 0).numpy()
    return (values * 255.0).round().astype(np.uint8)


def measured(work: Callable[[], Pixels], runs: int) -> tuple[float, Pixels]:
    """Median of the seconds, after one run that does not count."""
    made, seconds = work(), []
    for _ in range(runs):
        started = time.perf_counter()
        made = work()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds), made


def random_weights(folder: Path, photo: Pixels) -> None:
    """Real-ESRGAN's net with random weights, its last layer scaled to a photo's contrast."""
    torch().manual_seed(7)
    model = architecture("ESRGAN").ESRGAN(scale=4).eval()
    image = torch().from_numpy(photo[:64, :64].astype(np.float32) / 255).permute(2, 0, 1)[None]
    last = list(model.modules())[-1]
    with torch().no_grad():
        made = model(image)
        factor = CONTRAST / made.std()
        last.weight.mul_(factor)
        last.bias.copy_((last.bias - made.mean(dim=(0, 2, 3))) * factor + 0.5)
    folder.mkdir(parents=True, exist_ok=True)
    torch().save({"params_ema": model.state_dict()}, folder / "random.pth")


def gigaflops_per_run(model: Any, pixels: Pixels) -> float:
    """Of the whole photo once, without overlap."""
    from torch.utils.flop_counter import FlopCounterMode

    counter = FlopCounterMode(display=False)
    with counter, torch().no_grad():
        model(torch().zeros(1, 3, 64, 64))
    return counter.get_total_flops() / 64**2 * pixels.shape[0] * pixels.shape[1] / 1e9


def matrix_peak_gigaflops(runs: int) -> float:
    """The machine's own best at multiplying bfloat16 matrices, by torch."""
    one = torch().randn(MATRIX_SIDE, MATRIX_SIDE).bfloat16()
    best = min(_timed(lambda: one @ one) for _ in range(runs + 1))
    return float(2 * MATRIX_SIDE**3 / best / 1e9)


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def ours(
    weights: Weights, options: EngineOptions, precision: str, photo: Photo, overlap: int
) -> Callable[[], Pixels]:
    engine = load_openvino(weights, options, precision)
    upscaler = Upscaler(engine, overlap, engine.held_bytes, options)
    return lambda: enlarge(photo, engine.shape.scale, upscaler, RunContext())[0].pixels


def calibrated(cache: Path) -> None:
    """On other photos than the one that is measured."""
    for sample in (samples.chelsea, samples.coffee, samples.rocket):
        Calibration(cache).add(np.asarray(sample()))


def run(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    width, height = arguments.size
    torch().set_num_threads(arguments.threads)
    torch().set_flush_denormal(True)
    photo = resize(Photo(np.asarray(samples.astronaut())), width, height)
    if arguments.weights is None:
        random_weights(folder / "weights", photo.pixels)
        source = folder / "weights"
    else:
        source = arguments.weights.absolute().parent
    found = WeightsFolder(source, folder / "index.json", identify).scan()
    weights = next(w for w in found if arguments.weights is None or w.path.name == arguments.weights.name)
    model, shape = load_torch(weights.path)
    options = EngineOptions(folder / "cache", memory_mb=8192, threads=arguments.threads)
    peak, work = matrix_peak_gigaflops(arguments.runs), gigaflops_per_run(model, photo.pixels)
    report: dict[str, Any] = {
        "photo": f"{width} x {height}, {shape.scale} times",
        "threads": arguments.threads,
        "bf16_matrix_peak_gflops": round(peak, 1),
        "work_gflop": round(work, 1),
    }
    seconds, reference = measured(lambda: peer(model, photo.pixels, shape.scale), arguments.runs)
    report["torch f32, tiles of 400"] = {
        "seconds": round(seconds, 2),
        "share_of_peak": round(work / seconds / peak, 3),
    }
    calibrated(options.cache)
    plain: Pixels | None = None
    for precision in ("f32", *(("bf16",) if has_bf16() else ()), "int8"):
        if precision == "int8":
            quantise(weights, options)
        own, made = measured(ours(weights, options, precision, photo, PEER_PADDING), arguments.runs)
        plain = made if plain is None else plain
        report[f"ours {precision}"] = {
            "seconds": round(own, 2),
            "times_as_fast": round(seconds / own, 2),
            "psnr_to_our_f32_db": round(min(psnr(plain, made), 99.0), 1),
            "psnr_to_torch_inside_db": round(min(psnr(_inside(reference), _inside(made)), 99.0), 1),
            "share_of_peak": round(work / own / peak, 3),
        }
        print(json.dumps({precision: report[f"ours {precision}"]}), flush=True)
    report["overlap_without_seams"] = overlap_of(
        lambda: load_openvino(weights, options, "f32"), weights.sha256, options.cache
    )
    return report


def _inside(pixels: Pixels) -> Pixels:
    """Without a border, where the peer fills up with black and ours mirrors the photo."""
    return np.ascontiguousarray(pixels[BORDER:-BORDER, BORDER:-BORDER])


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    return int(width), int(height)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=_size, default=(480, 360), help="of the photo, WIDTHxHEIGHT")
    parser.add_argument("--runs", type=int, default=5, help="of which the median counts")
    parser.add_argument("--threads", type=int, default=torch().get_num_threads())
    parser.add_argument("--weights", type=Path, help="a file of weights of an upscaler")
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(run(parser.parse_args(), Path(folder)), indent=2))


if __name__ == "__main__":
    main()
