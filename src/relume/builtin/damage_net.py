"""Damage as the trained network sees it: where it is nearly sure, and only in a photo that has enough of it.

The network gives each pixel a probability. A single pixel says little: a part counts where it is likely
throughout and nearly certain somewhere, and a photo whose parts together are small is left alone.
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
    least: int
    """Pixels of a photo above `sure`, all parts together. Fewer are no evidence."""


AGED = Rule(likely=0.7, sure=0.92, least=30)
"""For photos that are toned, faded or grainy: likely prints, and prints have scratches."""
SHARP = Rule(likely=0.7, sure=0.97, least=120)
"""For all others, in which whiskers, wires and glints are likelier than damage."""


def probability_of_damage(levels: Levels, net: Net) -> Probability:
    """`levels` (height, width, 1 or 3), at most some 1600 on a side: it goes through the network in one piece."""
    height, width = levels.shape[:2]
    multiple = net.card.multiple_of
    below, beside = -height % multiple, -width % multiple
    padded: Any = cv2.copyMakeBorder(levels, 0, below, 0, beside, cv2.BORDER_REFLECT_101)
    made = net.levels(padded.reshape(height + below, width + beside, levels.shape[2]))
    result: Probability = made[:height, :width, 0] / np.float32(255)
    return result


def believed(probability: Probability, rule: Rule) -> Mask:
    """(height, width): the parts that the rule believes, all or none."""
    is_sure = probability > rule.sure
    if np.count_nonzero(is_sure) < rule.least:
        return np.zeros(probability.shape, bool)
    _, labels = cv2.connectedComponents((probability > rule.likely).astype(np.uint8), connectivity=8)
    chosen = np.zeros(labels.max() + 1, bool)
    chosen[labels[is_sure]] = True
    mask: Mask = chosen[labels]
    return mask
