"""Train the curve network that undoes faded colour, and export it.

    python -m training.train_colour --opencv-source DIR

Faded images are made first and kept: what the network will see of each, and 96 of its pixels before and after.
That is enough for the loss, and makes an epoch a matter of seconds. One core. Goes on after a stop.
"""

from __future__ import annotations

import argparse
import math
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from training import photos, scenes
from training.checkpoint import save_checkpoint
from training.colour_net import PERCENTILES, THUMBNAIL, CurveNet, Look, Whole, apply, percentiles
from training.fade import fade, to_linear
from training.onnx_file import write

MODEL = Path("src/relume/builtin/models/colour.onnx")

_SIDE = 128
_CUTS = 48  # of each photo
_SCENES = 4000
_PHOTO_SHARE = 0.7
_COLLAGES = 0.5
_HARM_WEIGHT = 2.0
_SATURATION = 0.22
_HUE_RADIANS = 0.2
_CHUNK = 4000
_BATCH = 40
_PIXELS = 96
_STUDIED = 160
_RATE = 2e-3
_WARM_UP = 200
_AVERAGE = 0.998

_Bank = tuple[Tensor, Tensor]


def bank(folder: Path, opencv_source: Path | None) -> _Bank:
    """Cuts of photos and synthetic scenes, (N, 3, 128, 128) bytes each; kept in `folder`."""
    path = folder / "colour-bank.pt"
    if not path.exists():
        rng = np.random.default_rng(11)
        found = photos.for_training(opencv_source)
        print(f"{len(found)} photos", flush=True)
        cuts = [_cut(photo, rng) for photo in found for _ in range(_CUTS)]
        drawn = [scenes.draw(np.random.default_rng([5, seed])) for seed in range(_SCENES)]
        torch.save((_stacked(cuts), _stacked(drawn)), path)
    made: _Bank = torch.load(path, weights_only=True)
    return made


def _cut(photo: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    height, width = (max(64, int(side * rng.uniform(0.45, 1))) for side in photo.shape[:2])
    height, width = min(height, photo.shape[0]), min(width, photo.shape[1])
    top, left = (
        int(rng.integers(0, whole - part + 1))
        for whole, part in zip(photo.shape, (height, width), strict=False)
    )
    part = photo[top : top + height, left : left + width]
    return np.asarray(cv2.resize(part, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA), np.uint8)


def _stacked(images: list[NDArray[np.uint8]]) -> Tensor:
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous()


def draw(made: _Bank, count: int, generator: torch.Generator) -> Tensor:
    """`count` true images, (N, 3, 64, 64) in [0, 1]: every second pixel, varied as photographers vary them."""
    real = torch.rand(count, generator=generator) < _PHOTO_SHARE
    images = torch.empty(count, 3, THUMBNAIL, THUMBNAIL)
    down, across = torch.randint(2, (2,), generator=generator).tolist()
    for pool, chosen in zip(made, (real, ~real), strict=True):
        index = torch.randint(len(pool), (int(chosen.sum()),), generator=generator)
        images[chosen] = pool[index, :, down::2, across::2].float() / 255
    one = (count, 1, 1, 1)
    if torch.rand(1, generator=generator) < 0.5:
        images = images.flip(3)
    gamma = torch.exp(torch.randn(one, generator=generator) * 0.1)
    images = images.clamp_min(1e-4) ** gamma
    images = _recoloured(images, generator)
    warmth = torch.randn(one, generator=generator) * 0.02
    images = images * torch.cat([1 + warmth, torch.ones(one), 1 - warmth], dim=1)
    return _framed(_collages(images.clamp(0, 1), generator), generator)


def _recoloured(images: Tensor, generator: torch.Generator) -> Tensor:
    """More or less saturated, hues turned a little: few photos stand for many, and no colour is certain."""
    count = len(images)
    grey = images.mean(dim=1, keepdim=True)
    colours = (images - grey) * torch.exp(torch.randn((count, 1, 1, 1), generator=generator) * _SATURATION)
    angle = torch.randn((count, 1), generator=generator) * _HUE_RADIANS
    # A turn about the grey axis, after Rodrigues; what it turns has no part along that axis.
    aside = (colours.roll(-1, dims=1) - colours.roll(1, dims=1)) / 3**0.5
    turned = colours * angle.cos()[..., None, None] + aside * angle.sin()[..., None, None]
    return grey + turned


def _collages(images: Tensor, generator: torch.Generator) -> Tensor:
    """Into every second image, a part of another: few photos cannot be learnt by heart then."""
    others = images[torch.randperm(len(images), generator=generator)]
    made = images.clone()
    for index in torch.nonzero(torch.rand(len(images), generator=generator) < _COLLAGES).flatten().tolist():
        height, width = torch.randint(12, THUMBNAIL, (2,), generator=generator).tolist()
        top = int(torch.randint(THUMBNAIL - height + 1, (1,), generator=generator))
        left = int(torch.randint(THUMBNAIL - width + 1, (1,), generator=generator))
        part = (slice(None), slice(top, top + height), slice(left, left + width))
        made[index][part] = others[index][part]
    return made


def _framed(images: Tensor, generator: torch.Generator) -> Tensor:
    """Every sixth photo has the white border of a print."""
    for index in torch.nonzero(torch.rand(len(images), generator=generator) < 1 / 6).flatten().tolist():
        edge = int(torch.randint(1, 6, (1,), generator=generator))
        white = 0.9 + 0.08 * torch.rand(1, generator=generator)
        frame = functional.pad(images[index, :, edge:-edge, edge:-edge], (edge,) * 4, value=float(white))
        images[index] = frame
    return images


def lab(levels: Tensor) -> Tensor:
    """(N, 3, …) sRGB to CIE Lab, D65."""
    light = to_linear(levels)
    to_xyz = torch.tensor(
        [[0.4339, 0.3762, 0.1899], [0.2126, 0.7152, 0.0722], [0.0177, 0.1095, 0.8728]]
    )  # relative to white
    xyz = torch.einsum("ij,nj...->ni...", to_xyz, light)
    root = torch.where(xyz > 0.008856, xyz.clamp_min(0.008) ** (1 / 3), 7.787 * xyz + 16 / 116)
    x, y, z = root.unbind(1)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], dim=1)


def difference(made: Tensor, truth: Tensor) -> Tensor:
    """(N,): mean CIE94 difference, which unlike CIEDE2000 has no kinks. Beyond [0, 1] it goes on rising."""
    beyond = (made - made.clamp(0, 1)).abs().mean(dim=(1, 2, 3)) * 100
    one, two = lab(made.clamp(0, 1)), lab(truth)
    chroma_one = (one[:, 1:].square().sum(dim=1) + 1e-3).sqrt()
    chroma_two = (two[:, 1:].square().sum(dim=1) + 1e-3).sqrt()
    light, chroma = one[:, 0] - two[:, 0], chroma_one - chroma_two
    hue_square = ((one[:, 1:] - two[:, 1:]).square().sum(dim=1) - chroma.square()).clamp_min(0)
    squares = (
        light.square()
        + (chroma / (1 + 0.045 * chroma_two)).square()
        + hue_square / (1 + 0.015 * chroma_two).square()
    )
    return (squares + 0.01).sqrt().mean(dim=(1, 2)) - 0.1 + 0.2 * beyond


@dataclass(frozen=True)
class Cases:
    """Faded images as the network meets them, and some of their pixels."""

    seen: Tensor
    """(N, 490)"""
    faded: Tensor
    """(N, 3, 1, 96) bytes"""
    truth: Tensor
    """(N, 3, 1, 96) bytes"""


def cases(folder: Path, count: int, opencv_source: Path | None) -> Cases:
    """Made once, in chunks, so that a stop costs little."""
    made: _Bank | None = None
    look = Look()
    chunks = []
    for start in range(0, count, _CHUNK):
        path = folder / f"colour-cases-{start}.pt"
        if not path.exists():
            made = made or bank(folder, opencv_source)
            generator = torch.Generator().manual_seed(100 + start)
            parts = [_some_cases(made, look, generator) for _ in range(_CHUNK // _BATCH)]
            torch.save(tuple(torch.cat(part) for part in zip(*parts, strict=True)), path)
            print(f"{start + _CHUNK} cases", flush=True)
        chunks.append(torch.load(path, weights_only=True))
    return Cases(*(torch.cat(part) for part in zip(*chunks, strict=True)))


def _some_cases(made: _Bank, look: Look, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    truth = draw(made, _BATCH, generator)
    faded = fade(truth, generator)
    seen = look(faded, percentiles(faded[:, :, ::2, ::2]))
    chosen = torch.randint(THUMBNAIL**2, (_PIXELS,), generator=generator)
    pixels = [(image.flatten(2)[:, :, None, chosen] * 255).round().byte() for image in (faded, truth)]
    return seen, pixels[0], pixels[1]


class Trainer:
    """The network, its average, and what is needed to go on after a stop."""

    def __init__(self, folder: Path, epochs: int, practice: Cases) -> None:
        torch.manual_seed(1)
        self.path, self.epochs, self.practice = folder / "colour.pt", epochs, practice
        self.net, self.average = CurveNet(), CurveNet()
        self.average.load_state_dict(self.net.state_dict())
        self.optimiser = torch.optim.AdamW(self.net.parameters(), lr=_RATE, weight_decay=0.03)
        self.epoch, self.step = 0, 0
        if self.path.exists():
            state = torch.load(self.path, weights_only=True)
            self.net.load_state_dict(state["net"])
            self.average.load_state_dict(state["average"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.epoch, self.step = state["epoch"], state["step"]

    def run(self) -> None:
        while self.epoch < self.epochs:
            order = torch.randperm(
                len(self.practice.seen), generator=torch.Generator().manual_seed(self.epoch)
            ).split(_STUDIED)
            told = [
                self._learn(chosen, (self.epoch + i / len(order)) / self.epochs)
                for i, chosen in enumerate(order)
            ]
            self.epoch += 1
            means = " ".join(f"{value:.2f}" for value in np.nanmean(told, axis=0))
            print(
                f"epoch {self.epoch} {time.process_time():.0f} s: faded, mended, untouched, doubt {means}",
                flush=True,
            )
            self._save()

    def _learn(self, chosen: Tensor, done: float) -> tuple[float, ...]:
        rate = _RATE * min(1, (self.step + 1) / _WARM_UP) * (0.5 + 0.5 * math.cos(math.pi * done))
        for group in self.optimiser.param_groups:
            group["lr"] = max(rate, 1e-6)
        faded, truth = (pixels[chosen].float() / 255 for pixels in (self.practice.faded, self.practice.truth))
        curves, matrices, sure = self.net(self.practice.seen[chosen])
        after = difference(apply(faded, curves, matrices), truth)
        with torch.no_grad():
            before = difference(faded, truth)
            is_faded = ((before - 1) / 2).clamp(0, 1)
        harm = (after - before).clamp_min(0)
        doubt = functional.binary_cross_entropy(sure, is_faded)
        loss = after.mean() + _HARM_WEIGHT * harm.mean() + 2 * doubt
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.net.parameters(), 5.0)
        self.optimiser.step()
        self.step += 1
        self._average(min(_AVERAGE, (self.step + 1) / (self.step + 10)))
        sound, told = before < 0.3, after.detach()
        return (
            float(before[~sound].mean()),
            float(told[~sound].mean()),
            float(told[sound].mean()),
            float(doubt.detach()),
        )

    @torch.no_grad()
    def _average(self, decay: float) -> None:
        new = self.net.state_dict()
        for name, kept in self.average.state_dict().items():
            if kept.is_floating_point():
                kept.lerp_(new[name], 1 - decay)

    def _save(self) -> None:
        state = {
            "net": self.net.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "epoch": self.epoch,
            "step": self.step,
        }
        save_checkpoint(state, self.path)


def export(net: CurveNet, path: Path) -> None:
    """As ONNX, for one photo at a time."""
    example = torch.rand(1, 3, THUMBNAIL, THUMBNAIL), torch.rand(1, 4 * len(PERCENTILES))
    write(
        Whole(net),
        example,
        path,
        inputs=("thumbnail", "percentiles"),
        outputs=("curves", "matrix", "sure"),
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--cases", type=int, default=80_000, help="faded images; a thousand take about a second"
    )
    parser.add_argument("--epochs", type=int, default=25, help="about 4 seconds each")
    parser.add_argument("--folder", type=Path, default=Path("training-runs"), help="checkpoints and images")
    parser.add_argument(
        "--opencv-source", type=Path, help="unpacked source distribution of OpenCV, for its photos"
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.folder.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(
        options.folder, options.epochs, cases(options.folder, options.cases, options.opencv_source)
    )
    trainer.run()
    export(trainer.average, MODEL)


if __name__ == "__main__":
    main()
