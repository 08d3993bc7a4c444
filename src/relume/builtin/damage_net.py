"""Damage as the trained network sees it: where it is rather sure, and only in a photo that has enough of it.

The network gives each pixel a probability. A single pixel says little: a part counts where it is likely
throughout and rather sure somewhere, and a photo whose parts together are small is left alone: a mast, a
tripod or a whisker passes for a scratch now and then, and there is less of those in a photo than of damage
that is worth mending. How it was trained: `training/cards/damage.md`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from relume.builtin.levels import Levels, Mask
from relume.builtin.net import Net

NAME = "damage"

Probability = NDArray[np.float32]
"""(height, width), 0 to 1."""


@dataclass(frozen=True, slots=True)
class Rule:
    """When to believe the network."""

    likely: float
    """Probability that a part has throughout,"""
    sure: float
    """and that it reaches somewhere."""
    least: float
    """Share of a photo's pixels that must be above `sure`, all parts together. Less is no evidence."""


ALONE = Rule(likely=0.25, sure=0.7, least=0.009)
"""Where nothing else speaks for damage. Photos without any reach 0.43 % (`training/choose_rule.py`) to 0.73 %."""
CONFIRMED = Rule(likely=0.25, sure=0.7, least=0.0)
"""Where the photo is known to be damaged by other evidence."""


def probability_of_damage(levels: Levels, net: Net) -> Probability:
    """`levels` (height, width, 1 or 3), at most some 1600 on a side: it goes through the network in one piece.

    Twice, as it is and mirrored: the mean of both answers is better than either (F1 0.60, 0.58 for one).
    """
    height, width = levels.shape[:2]
    multiple = net.card.multiple_of
    below, beside = -height % multiple, -width % multiple
    padded: Any = cv2.copyMakeBorder(levels, 0, below, 0, beside, cv2.BORDER_REFLECT_101)
    whole = padded.reshape(height + below, width + beside, levels.shape[2])
    seen, mirrored = net.levels(whole), net.levels(np.ascontiguousarray(whole[:, ::-1]))[:, ::-1]
    result: Probability = ((seen + mirrored) / np.float32(2 * 255))[:height, :width, 0]
    return result


def believed(probability: Probability, rule: Rule) -> Mask:
    """(height, width): the parts that the rule believes, all or none."""
    is_sure = probability > rule.sure
    if is_sure.mean() < rule.least:
        return np.zeros(probability.shape, bool)
    _, labels = cv2.connectedComponents((probability > rule.likely).astype(np.uint8), connectivity=8)
    chosen = np.zeros(labels.max() + 1, bool)
    chosen[labels[is_sure]] = True
    mask: Mask = chosen[labels]
    return mask
