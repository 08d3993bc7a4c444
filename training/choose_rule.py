"""Which answers of the damage finder to believe: `python -m training.choose_rule`.

Tries rules on photos kept for choosing, with the damage of `evaluate_mask`, and on the same photos undamaged.
The one to take finds most among those that leave every undamaged photo alone; it goes into
`relume.builtin.damage_net`.
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path

import cv2
import numpy as np

from relume.builtin.cards import SHIPPED, NetTable
from relume.builtin.damage_net import NAME, Probability, Rule, believed, probability_of_damage
from relume.builtin.net import Net
from relume.builtin.nets import Nets
from training.evaluate_mask import Mask, Picture, cases, f1, for_choosing

RULES = [
    Rule(likely, sure, least)
    for likely, sure, least in itertools.product(
        (0.2, 0.25, 0.3, 0.4, 0.5), (0.6, 0.7, 0.8, 0.9), (0.0005, 0.001, 0.002, 0.004, 0.006)
    )
]


def probability(net: Net, picture: Picture) -> Probability:
    return probability_of_damage(picture.astype(np.float32), net)


def mask_of(rule: Rule, answers: Probability, grown: int) -> Mask:
    kernel = np.ones((2 * grown + 1, 2 * grown + 1), np.uint8)
    mask: Mask = cv2.dilate(believed(answers, rule).astype(np.uint8), kernel) > 0
    return mask


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, default=SHIPPED, help="folder with models.json")
    options = parser.parse_args()
    net = Nets(NetTable(options.models)).get(NAME)
    if net is None:
        parser.error(f"{options.models} has no network named {NAME}")
    seen = [
        (probability(net, case.damaged), probability(net, case.clean), case.truth)
        for case in cases(for_choosing())
    ]
    print("likely  sure  least  grown  F1    F1 1 px  clean photos left alone")
    for rule, grown in itertools.product(RULES, (0, 1)):
        found = [(mask_of(rule, damaged, grown), truth) for damaged, _, truth in seen]
        strict, near = (np.mean([f1(*pair, pixels) for pair in found]) for pixels in (0, 1))
        empty = np.mean([not believed(clean, rule).any() for _, clean, _ in seen])
        settings = f"{rule.likely:6}  {rule.sure:4}  {rule.least:5}  {grown:5}"
        print(f"{settings}  {strict:.3f}  {near:.3f}   {100 * empty:.0f} %")


if __name__ == "__main__":
    main()
