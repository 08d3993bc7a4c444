"""What age, dyes, paper and scanners do to a colour print, in density space, for batches of images on torch.

A print's image is three dyes; each absorbs mostly its own third of the spectrum and a little of the others'. Dyes
fade at different rates, paper yellows, and light scatters into the scan. The order here is the order of events:
dyes, paper, veil, scanner. Parameters span what Wilhelm & Brower, "The permanence and care of color
photographs" (1993) describe; none was fitted to data.
"""

from __future__ import annotations

import torch
from torch import Tensor

_DARKEST_DENSITY = 2.6
_SOUND_SHARE = 0.3


def fade(images: Tensor, generator: torch.Generator) -> Tensor:
    """(N, 3, H, W) sRGB in [0, 1] to the same, faded; about 30 % of them not at all."""
    draw = _Draw(len(images), generator)
    strength = draw.uniform(0.1, 1.0)
    strength = torch.where(draw.chance(_SOUND_SHARE), 0.0, strength)
    density = -torch.log10(to_linear(images).clamp_min(10**-_DARKEST_DENSITY))
    light = 10 ** -(_dyes_faded(density, strength, draw) + _yellowing(strength, draw))
    light = _veiled(light, strength, draw) * _cast(strength, draw)
    levels = _scanned(to_srgb(light), strength, draw)
    levels = torch.where(strength > 0, levels, images)
    return (levels * 255).round().div(255).clamp(0, 1)


def to_linear(levels: Tensor) -> Tensor:
    return torch.where(levels <= 0.04045, levels / 12.92, ((levels.clamp_min(0.04) + 0.055) / 1.055) ** 2.4)


def to_srgb(light: Tensor) -> Tensor:
    bright = 1.055 * light.clamp_min(0.003) ** (1 / 2.4) - 0.055
    return torch.where(light <= 0.0031308, light * 12.92, bright)


class _Draw:
    """One random number for each image, shaped to multiply images."""

    def __init__(self, count: int, generator: torch.Generator) -> None:
        self.count, self.generator = count, generator

    def uniform(self, low: float, high: float, channels: int = 1) -> Tensor:
        drawn = torch.rand(self.count, channels, 1, 1, generator=self.generator)
        return low + (high - low) * drawn

    def normal(self, deviation: float, channels: int = 1) -> Tensor:
        return torch.randn(self.count, channels, 1, 1, generator=self.generator) * deviation

    def chance(self, share: float) -> Tensor:
        return self.uniform(0, 1) < share


def _dyes_faded(density: Tensor, strength: Tensor, draw: _Draw) -> Tensor:
    count = len(density)
    stray = draw.uniform(0, 0.3, 9).reshape(count, 3, 3) * draw.uniform(0, 1).reshape(count, 1, 1)
    absorption = torch.eye(3) + stray * (1 - torch.eye(3))
    absorption = absorption / absorption.sum(dim=2, keepdim=True)
    dyes = torch.einsum("nij,njhw->nihw", torch.linalg.inv(absorption), density)
    together, apart = draw.uniform(0, 0.45), draw.uniform(0, 0.55, 3)
    # One dye often outlives the others: magenta-pink and yellow-green prints.
    apart = apart * torch.where(draw.chance(0.5), 1.0, (draw.uniform(0, 1, 3) < 0.6).float())
    kept = ((1 - strength * together) * (1 - strength * apart)).clamp_min(0.3)
    # Light densities may fade faster than dark ones.
    bend = torch.where(draw.chance(0.4), draw.normal(0.12), 0.0) * strength
    dyes = dyes * kept * (1 + bend * (dyes - 1)).clamp(0.4, 1.6)
    # Where filters of the scanner do not fit the dyes, as much comes back as stain of the others.
    seen = torch.eye(3) + (
        draw.uniform(-0.05, 0.3, 9).reshape(count, 3, 3) * strength.reshape(count, 1, 1)
    ) * (1 - torch.eye(3)) * draw.chance(0.6).reshape(count, 1, 1)
    seen = seen / seen.sum(dim=2, keepdim=True)
    return torch.einsum("nij,njhw->nihw", torch.einsum("nij,njk->nik", seen, absorption), dyes)


def _yellowing(strength: Tensor, draw: _Draw) -> Tensor:
    """Density that paper gained: most in blue, less in green."""
    amount = draw.uniform(0, 0.3) * draw.chance(0.6)
    share = torch.cat([draw.uniform(0, 0.25), draw.uniform(0.1, 0.6), draw.uniform(0.8, 1.0)], dim=1)
    return amount * share * strength


def _veiled(light: Tensor, strength: Tensor, draw: _Draw) -> Tensor:
    """Scattered light: lifts the blacks, with a colour of its own."""
    amount = draw.uniform(0, 1) ** 2 * 0.16 * draw.chance(0.75) * strength
    tint = (1 + draw.normal(0.4, 3)).clamp(0.1, 2.5)
    veil = amount * tint
    return veil + (1 - veil) * light


def _cast(strength: Tensor, draw: _Draw) -> Tensor:
    """The light of the scan or of the camera that took the print: warm, cold, or of any colour."""
    temperature = draw.normal(0.14) * torch.tensor([1.0, 0.0, -1.0]).reshape(1, 3, 1, 1)
    return torch.exp(strength * (temperature + draw.normal(0.11, 3)) * draw.chance(0.7))


def _scanned(levels: Tensor, strength: Tensor, draw: _Draw) -> Tensor:
    """Exposure, white balance, gamma, weak saturation, a lifted black; at last, sometimes, automatic contrast."""
    gain = torch.exp(strength * (draw.normal(0.07) + draw.normal(0.06, 3)))
    gamma = torch.exp(strength * (draw.normal(0.14) + draw.normal(0.06, 3)))
    levels = (levels.clamp_min(1e-4) ** gamma) * gain
    grey = (levels * torch.tensor([0.299, 0.587, 0.114]).reshape(1, 3, 1, 1)).sum(dim=1, keepdim=True)
    paler = 1 - strength * draw.uniform(0, 0.5) * draw.chance(0.5)
    levels = grey + paler * (levels - grey)
    black = strength * draw.uniform(0, 0.2) * draw.chance(0.5) * (1 + draw.normal(0.3, 3)).clamp(0, 2)
    white = 1 - strength * draw.uniform(0, 0.3) * draw.chance(0.5) * (1 + draw.normal(0.3, 3)).clamp(0, 2)
    levels = (black + (white - black) * levels).clamp(0, 1)
    low, high = levels.flatten(1).amin(dim=1), levels.flatten(1).amax(dim=1)
    low, high = low.reshape(-1, 1, 1, 1), high.reshape(-1, 1, 1, 1)
    stretched = (levels - low) / (high - low).clamp_min(0.2)
    return torch.where(draw.chance(0.2), stretched, levels)
