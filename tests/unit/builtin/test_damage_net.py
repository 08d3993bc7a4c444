from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.unit.builtin.tiny_nets import finder, write

from relume.builtin.damage_net import Rule, believed, probability_of_damage
from relume.builtin.measure import Damage
from relume.builtin.net import Net, NetOptions
from relume.builtin.nets import NO_NETS, Nets
from relume.imaging.photo import Photo


@pytest.fixture
def nets(tmp_path: Path) -> Nets:
    return Nets(write(tmp_path, damage=finder()), threads=1)


def photo_with_line(level: int, length: int = 60) -> Photo:
    """A colourful photo with a line three pixels wide."""
    down, right = np.mgrid[0:1:70j, 0:1:90j]
    pixels = (150 * np.stack([right, down, 1 - right], axis=-1)).astype(np.uint8)
    pixels[30:33, 10 : 10 + length] = level
    return Photo(pixels)


def test_a_line_that_the_network_is_sure_of_is_found_in_any_photo(nets: Nets) -> None:
    photo = photo_with_line(255)
    mask = Damage(photo, nets).scratches.mask
    assert mask[30:33, 10:70].all()
    assert mask.sum() < 2 * 3 * 60
    assert not Damage(photo, NO_NETS).scratches.mask.any()


def test_what_the_network_thinks_likely_at_best_is_left(nets: Nets) -> None:
    assert not Damage(photo_with_line(235), nets).scratches.mask.any()


def test_one_glint_in_a_sharp_photo_is_left(nets: Nets) -> None:
    assert not Damage(photo_with_line(255, length=6), nets).scratches.mask.any()


def test_a_photo_that_is_all_damage_is_left(nets: Nets) -> None:
    assert not Damage(Photo(np.full((64, 64, 3), 255, np.uint8)), nets).scratches.mask.any()


def test_transparent_parts_have_no_say(nets: Nets) -> None:
    photo = photo_with_line(255)
    alpha = np.full((70, 90), 255, np.uint8)
    alpha[20:45] = 0
    assert not Damage(Photo(photo.pixels, alpha), nets).scratches.mask.any()


@pytest.mark.parametrize("channels", [1, 3])
def test_any_size_fits_the_network(tmp_path: Path, channels: int) -> None:
    table = write(tmp_path, damage=finder())
    card = replace(table.cards["damage"], multiple_of=16)
    net = Net(card, table.read(card), NetOptions(threads=1, precision="f32"))
    levels = np.full((33, 47, channels), 100, np.float32)
    levels[5, 7] = 255
    probability = probability_of_damage(levels, net)
    assert probability.shape == (33, 47)
    assert probability[5, 7] == pytest.approx(1, abs=1e-3)
    assert probability.sum() == pytest.approx(1, abs=1e-3)


def plane(*parts: tuple[int, float]) -> NDArray[np.float32]:
    """Rows of ten pixels, far apart, each with its probability, ending in one pixel at 0.99."""
    made = np.zeros((40, 40), np.float32)
    for row, probability in parts:
        made[row, :10] = probability
        made[row, 10] = 0.99
    return made


RULE = Rule(likely=0.7, sure=0.9, least=2 / 40**2)


def test_a_part_is_believed_where_it_is_likely_throughout() -> None:
    found = believed(plane((3, 0.8), (20, 0.5)), RULE)
    assert found[3, :11].all()
    assert found[20].sum() == 1


def test_too_little_in_all_is_no_evidence() -> None:
    assert not believed(plane((3, 0.8)), RULE).any()
