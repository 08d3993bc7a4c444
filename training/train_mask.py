"""Train the damage finder: `python -m training.train_mask --minutes 25`.

Draws its scenes first (kept beside the checkpoint), then trains, saves a checkpoint every minute, and goes on
from the last one if there is one. `training.export_mask` writes the network, `training.choose_rule` then shows
which answers to believe.
"""

from __future__ import annotations

import argparse
import copy
import math
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader

from training.checkpoint import follow, save_checkpoint
from training.damage_data import Prints, scene_pool
from training.export_mask import CHECKPOINT, shipped
from training.mask_net import MaskNet
from training.precision import mixed

_SEED = 7
_WARM_UP_STEPS = 200
_OPEN = 255


@dataclass(slots=True)
class Run:
    """What a checkpoint holds."""

    net: MaskNet
    average: MaskNet
    optimizer: torch.optim.Optimizer
    precision: AbstractContextManager[object] = field(default_factory=lambda: mixed(torch.device("cpu")))
    step: int = 0
    seconds: float = 0.0

    def save(self, path: Path) -> None:
        state = {
            "net": self.net.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
        }
        save_checkpoint(state, path)

    def load(self, path: Path) -> None:
        state = torch.load(path, weights_only=True)
        self.net.load_state_dict(state["net"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.seconds = state["step"], state["seconds"]


def loss_of(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross entropy and soft dice; a false alarm in a clean picture weighs more, its worst ones most."""
    known = (labels != _OPEN).float()
    truth = (labels == 1).float()
    entropy = F.binary_cross_entropy_with_logits(logits, truth, reduction="none") * known
    each = entropy.flatten(1).mean(dim=1)
    is_clean = truth.flatten(1).sum(dim=1) == 0
    worst = entropy.flatten(1).topk(entropy[0].numel() // 200, dim=1).values.mean(dim=1)
    probability = torch.sigmoid(logits) * known
    both = (probability * truth).flatten(1).sum(dim=1)
    sizes = (probability + truth).flatten(1).sum(dim=1)
    dice = 1 - (2 * both + 1) / (sizes + 1)
    return torch.where(is_clean, 4 * each + 0.3 * worst, 2 * each + 0.5 * dice).mean()


def train(
    minutes: float,
    *,
    batch: int,
    side: int,
    scenes: int,
    rate: float,
    folder: Path,
    opencv_source: Path | None,
    start: Path | None = None,
) -> Run:
    """`start`: an exported network to begin with, where there is no checkpoint."""
    torch.manual_seed(_SEED)
    cv2.setNumThreads(0)  # OpenCV's threads do not survive a fork: the worker would wait for ever
    pool, checkpoint = folder / f"damage-scenes-{scenes}.bin", folder / CHECKPOINT
    scene_pool(pool, scenes, _SEED)
    net = MaskNet()
    if start is not None:
        net.load_state_dict(shipped(start))
    net = net.to(memory_format=torch.channels_last)
    run = Run(net, copy.deepcopy(net), torch.optim.Adam(net.parameters(), rate))
    if checkpoint.exists():
        run.load(checkpoint)
    prints = Prints(pool, scenes, side, _SEED + run.step, opencv_source)
    # The processor's time, not the clock's: on a busy machine the schedule must not run away from the steps.
    began = time.process_time() - run.seconds
    saved = time.monotonic()
    recent: list[float] = []
    loader = DataLoader(prints, batch, num_workers=1, prefetch_factor=8)
    for images, labels in loader:
        run.seconds = time.process_time() - began
        done = run.seconds / (60 * minutes)
        if done >= 1:
            break
        for group in run.optimizer.param_groups:
            group["lr"] = rate * min(1, (run.step + 1) / _WARM_UP_STEPS) * (0.02 + 0.98 * _cosine(done))
        recent.append(_advance(run, images, labels))
        if time.monotonic() - saved > 60:
            saved = time.monotonic()
            print(f"{run.seconds / 60:.1f} min, step {run.step}, loss {np.mean(recent):.4f}", flush=True)
            recent.clear()
            run.save(checkpoint)
    run.save(checkpoint)
    return run


def _cosine(done: float) -> float:
    return 0.5 + 0.5 * math.cos(math.pi * done)


def _advance(run: Run, images: Tensor, labels: Tensor) -> float:
    inputs = (images.float() / 255).to(memory_format=torch.channels_last)
    with run.precision:
        logits = run.net(inputs)
    loss = loss_of(logits.float()[:, 0], labels)
    run.optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(run.net.parameters(), 0.5)
    run.optimizer.step()
    run.step += 1
    follow(run.average, run.net, run.step)
    return loss.item()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--minutes", type=float, default=25, help="of the processor, in all: those before a resume included"
    )
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--side", type=int, default=160, help="pixels of a training picture")
    parser.add_argument("--scenes", type=int, default=1200)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--opencv-source", type=Path, help="OpenCV's unpacked source distribution: more photos"
    )
    parser.add_argument("--start", type=Path, help="an exported network, whose weights to begin with")
    parser.add_argument("--folder", type=Path, default=Path("training-runs"), help="checkpoint and scenes")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    train(
        options.minutes,
        batch=options.batch,
        side=options.side,
        scenes=options.scenes,
        rate=options.rate,
        folder=options.folder,
        opencv_source=options.opencv_source,
        start=options.start,
    )


if __name__ == "__main__":
    main()
