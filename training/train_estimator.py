"""Train the estimator of noise, JPEG quality and softness, and export it.

    python -m training.train_estimator --opencv-source DIR

First the statistics of some thousand degraded images, kept in a file and gone on with after a stop; then a small
network on them, which takes a minute. One core.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from relume.builtin.estimate import FEATURES, features
from relume.builtin.levels import luma, to_levels
from training import photos
from training.degrade import Harm, aged, blurred, draw_harm, jpeg, spoil
from training.onnx_file import write
from training.pool import images

MODEL = Path("src/relume/builtin/models/degradation.onnx")
INPUTS = 472

_POOL = 1200
_CHUNK = 250
_CLEAN = 0.45
_ONLY_SOFT = 0.2
_RESIZED_AFTER = 0.12
_PHOTO_SHARE = 0.3
_FIRST_SEED = 50_000

Image = NDArray[np.uint8]
Values = NDArray[np.float32]


class Estimator(nn.Module):
    """Features (N, 472) to (N, 6): noise / 12, compression / 100, blur, and the standard error of each."""

    def __init__(self, mean: Tensor, deviation: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("deviation", deviation)
        self.layers = nn.Sequential(
            nn.Linear(INPUTS, 80), nn.SiLU(), nn.Dropout(0.1), nn.Linear(80, 48), nn.SiLU(), nn.Linear(48, 6)
        )

    def forward(self, statistics: Tensor) -> Tensor:
        answer = self.layers(((statistics - self.mean) / self.deviation).clamp(-4, 4))
        # The logarithm of the error is bounded: no single surprise may rule the loss.
        return torch.cat([answer[:, :3], torch.exp(answer[:, 3:].clamp(-4.5, 1))], dim=1)


def degraded(image: Image, rng: np.random.Generator) -> tuple[Image, Harm]:
    """As photos come: soft, noisy, compressed, and some of them resized afterwards."""
    harm = draw_harm(rng, clean=_CLEAN, noise=6, most_noise=25, worst_quality=20)
    if harm == Harm() and rng.random() < _ONLY_SOFT:
        harm = Harm(blur=float(rng.uniform(0.3, 1.4)))
    spoilt = spoil(blurred(image, harm.blur), harm, rng)
    if harm != Harm() and rng.random() < _RESIZED_AFTER:
        scale = float(np.exp(rng.uniform(np.log(0.55), np.log(1.6))))
        spoilt, harm = resized(spoilt, scale, rng), seen_after(harm, scale)
        if rng.random() < 0.5:
            spoilt = jpeg(spoilt, 95)
    return spoilt, harm


def resized(image: Image, scale: float, rng: np.random.Generator) -> Image:
    filters = (cv2.INTER_AREA, cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_LANCZOS4, cv2.INTER_LINEAR_EXACT)
    size = round(image.shape[1] * scale), round(image.shape[0] * scale)
    return np.asarray(cv2.resize(image, size, interpolation=filters[rng.integers(5)]), np.uint8)


def seen_after(harm: Harm, scale: float) -> Harm:
    """What is left of it at the new size: shrinking averages noise and blocks away, enlarging softens."""
    left = min(1.0, scale)
    return Harm(
        blur=harm.blur * scale if scale < 1 else float(np.hypot(harm.blur * scale, 0.35 * scale)),
        noise=harm.noise * left,
        quality=round(100 - (100 - harm.quality) * left**2),
        is_grain=harm.is_grain,
        subsampled=harm.subsampled,
    )


def statistics(image: Image) -> Values | None:
    return features([luma(to_levels(image))])


def _sample(seed: int, drawn: Image, found: list[Image]) -> tuple[Values, Values]:
    """Features and (noise / 12, compression / 100, blur) of one image."""
    while True:
        rng = np.random.default_rng(seed)
        image = (
            found[rng.integers(len(found))]
            if rng.random() < _PHOTO_SHARE
            else drawn[rng.integers(len(drawn))]
        )
        spoilt, harm = degraded(aged(_cut(image, rng), rng), rng)
        top, left = rng.integers(0, 8, 2)  # blocks lie anywhere
        found_features = statistics(np.ascontiguousarray(spoilt[top:, left:]))
        if found_features is not None:
            return found_features, np.array([*harm.controls, harm.blur], np.float32)
        seed += 1_000_000


def _cut(image: Image, rng: np.random.Generator) -> Image:
    height, width = (min(whole, int(rng.integers(150, 420))) for whole in image.shape[:2])
    top, left = (
        int(rng.integers(0, image.shape[0] - height + 1)),
        int(rng.integers(0, image.shape[1] - width + 1)),
    )
    part = image[top : top + height, left : left + width]
    return np.ascontiguousarray(part[:, ::-1] if rng.random() < 0.5 else part)


def gather(folder: Path, count: int, opencv_source: Path | None) -> tuple[Values, Values]:
    """(count, 472) and (count, 3). In chunks, so that a stop costs little."""
    drawn = images(folder, _POOL, processes=1)
    # Half the size: what their own JPEG files did to them is gone.
    found = [resized_half(photo) for photo in photos.for_training(opencv_source)]
    chunks = []
    for start in range(0, count, _CHUNK):
        path = folder / f"degradation-{start}.npz"
        if not path.exists():
            made = [_sample(_FIRST_SEED + seed, drawn, found) for seed in range(start, start + _CHUNK)]
            inputs, wanted = (np.stack(part) for part in zip(*made, strict=True))
            np.savez(path, inputs=inputs, wanted=wanted)
            print(f"{start + _CHUNK} images", flush=True)
        chunks.append(np.load(path))
    return tuple(np.concatenate([chunk[name] for chunk in chunks]) for name in ("inputs", "wanted"))  # type: ignore[return-value]


def resized_half(image: Image) -> Image:
    size: Any = image.shape[1] // 2, image.shape[0] // 2
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def loss(answer: Tensor, wanted: Tensor) -> Tensor:
    """Laplace's likelihood: the absolute error over its scale, and the scale's logarithm."""
    value, error = answer[:, :3], answer[:, 3:]
    return ((value - wanted).abs() / error + error.log()).mean()


def train(inputs: Values, wanted: Values, epochs: int) -> Estimator:
    torch.manual_seed(1)
    x, y = torch.from_numpy(inputs), torch.from_numpy(wanted)
    net = Estimator(x.mean(dim=0), x.std(dim=0) + 0.02)
    optimiser = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=0.03)
    batch = 64
    steps = epochs * (len(x) // batch)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    started = time.process_time()
    for epoch in range(epochs):
        order = torch.randperm(len(x))
        total = 0.0
        for chosen in order[: len(x) // batch * batch].split(batch):
            statistics_now = x[chosen] + 0.02 * torch.randn(batch, INPUTS) * net.get_buffer("deviation")
            one = loss(net(statistics_now), y[chosen])
            optimiser.zero_grad()
            one.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 2.0)
            optimiser.step()
            schedule.step()
            total += float(one.detach())
        if epoch % 10 == 9:
            print(
                f"epoch {epoch + 1} {time.process_time() - started:.0f} s loss {total / (len(x) // batch):.3f}"
            )
    return net.eval()


def export(net: Estimator, path: Path) -> None:
    free = {0: "photos"}
    write(
        net,
        (torch.rand(1, INPUTS),),
        path,
        inputs=(FEATURES,),
        outputs=("estimate",),
        any_length={FEATURES: free, "estimate": free},
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=5000, help="about 0.03 seconds each")
    parser.add_argument("--epochs", type=int, default=80)
    parser.add_argument(
        "--folder", type=Path, default=Path("training-runs"), help="what is gathered, and images"
    )
    parser.add_argument(
        "--opencv-source", type=Path, help="unpacked source distribution of OpenCV, for its photos"
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    inputs, wanted = gather(options.folder, options.images, options.opencv_source)
    export(train(inputs, wanted, options.epochs), MODEL)


if __name__ == "__main__":
    main()
