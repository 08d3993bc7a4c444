"""Train the conditional networks: enlarging twice (`upscale2`, `upscale2-fast`) and cleaning up (`clean`).

    python -m training.train_conditional upscale2 --minutes 50

Goes on from its last checkpoint when started again. On a GPU where there is one, else on the CPU in bfloat16.
"""

from __future__ import annotations

import argparse
import math
import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from training.checkpoint import Weights, averaged, follow, save_checkpoint
from training.conditional import Conditional
from training.onnx_file import stored_weights
from training.pool import Patches, batches, images, real_photos
from training.precision import mixed

POOL = 1200
_WARM_UP = 200
_LAST_SQUARED = 0.8  # from this share of the time on, the squared error: PSNR is what is measured


@dataclass(frozen=True)
class Plan:
    width: int
    depth: int
    scale: int
    patch: int
    batch: int
    rate: float
    telling: float = 1.0

    def net(self) -> Conditional:
        return Conditional(self.width, self.depth, self.scale, self.telling)


PLANS = {
    "upscale2": Plan(48, 12, 2, 48, 16, 8e-4, telling=6),
    "upscale2-fast": Plan(32, 6, 2, 48, 16, 2e-3, telling=6),
    "clean": Plan(48, 8, 1, 64, 10, 1.5e-3),
    "clean-fast": Plan(32, 6, 1, 64, 10, 2e-3),
}


def shipped(path: Path) -> Weights:
    """Those of an exported network, with the identities taken out of its convolutions again."""
    weights = stored_weights(path)
    for name, kernel in weights.items():
        if name.startswith("body.") and name.endswith(".weight"):
            channels = torch.arange(len(kernel))
            kernel[channels, channels, 1, 1] -= 1
    return weights


class Trainer:
    """One network, its average, and what is needed to go on after a stop."""

    def __init__(
        self,
        name: str,
        plan: Plan,
        folder: Path,
        minutes: float,
        start: Path | None = None,
    ) -> None:
        torch.manual_seed(1)
        self.name, self.plan, self.seconds = name, plan, minutes * 60
        self.path = folder / f"{name}.pt"
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.precision = mixed(self.device)
        self.net = plan.net().to(self.device)
        self.net = self.net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = plan.net().to(self.device)
        self.average.load_state_dict(self.net.state_dict())
        self.optimiser = torch.optim.Adam(self.net.parameters(), lr=plan.rate, betas=(0.9, 0.99))
        self.step, self.spent = 0, 0.0
        if self.path.exists():
            self._resume()
        elif start is not None:
            weights = shipped(start) if start.suffix == ".onnx" else averaged(start, self.device)
            self.net.load_state_dict(weights)
            self.average.load_state_dict(weights)

    def run(self, pool_folder: Path, opencv_source: Path | None) -> None:
        plan = self.plan
        patches = Patches(
            images(pool_folder, POOL),
            scale=plan.scale,
            patch=plan.patch,
            batch=plan.batch,
            seed=7 + self.step,
            real=real_photos(opencv_source),
        )
        losses: list[float] = []
        # The processor's time, not the clock's: on a busy machine the schedule must not run away from the steps.
        started, saved = time.process_time() - self.spent, time.monotonic()
        for harmed, truth, controls in batches(patches):
            self.spent = time.process_time() - started
            if self.spent >= self.seconds:
                break
            losses.append(self._learn(harmed, truth, controls))
            if self.step % 100 == 0:
                mean = sum(losses[-100:]) / len(losses[-100:])
                print(f"{self.name} step {self.step} {self.spent:.0f} s loss {mean:.5f}", flush=True)
            if time.monotonic() - saved > 60:
                self._save()
                saved = time.monotonic()
        self._save()

    def _learn(self, harmed: Tensor, truth: Tensor, controls: Tensor) -> float:
        done = self.spent / self.seconds
        rate = self.plan.rate * min(1, (self.step + 1) / _WARM_UP) * (0.5 + 0.5 * math.cos(math.pi * done))
        for group in self.optimiser.param_groups:
            group["lr"] = max(rate, 1e-6)
        image = harmed.to(self.device).float().div(255).contiguous(memory_format=torch.channels_last)
        wanted = truth.to(self.device).float().div(255)
        with self.precision:
            made = self.net(image, controls.to(self.device))
        difference = made.float() - wanted
        absolute = difference.abs().mean()
        loss = absolute if done < _LAST_SQUARED else difference.square().mean() * 20
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.net.parameters(), 0.5)
        self.optimiser.step()
        self.step += 1
        follow(self.average, self.net, self.step)
        return float(absolute.detach())

    def _save(self) -> None:
        state = {
            "net": self.net.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "spent": self.spent,
        }
        save_checkpoint(state, self.path)

    def _resume(self) -> None:
        state = torch.load(self.path, map_location=self.device, weights_only=True)
        self.net.load_state_dict(state["net"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.spent = state["step"], state["spent"]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", choices=sorted(PLANS))
    parser.add_argument("--minutes", type=float, default=50, help="of the processor, in all")
    parser.add_argument(
        "--folder", type=Path, default=Path("training-runs"), help="checkpoints and the images drawn"
    )
    parser.add_argument(
        "--start", type=Path, help="a checkpoint, or an exported network, whose weights to begin with"
    )
    parser.add_argument(
        "--opencv-source", type=Path, help="OpenCV's unpacked source distribution: more photos"
    )
    parser.add_argument("--rate", type=float, help="highest learning rate; less than the plan's to go on")
    parser.add_argument("--batch", type=int, help="patches of a step")
    parser.add_argument("--threads", type=int, default=0, help="of torch; 0: all cores")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    options.folder.mkdir(parents=True, exist_ok=True)
    plan = PLANS[options.name]
    plan = replace(plan, rate=options.rate or plan.rate, batch=options.batch or plan.batch)
    trainer = Trainer(options.name, plan, options.folder, options.minutes, options.start)
    trainer.run(options.folder, options.opencv_source)


if __name__ == "__main__":
    main()
