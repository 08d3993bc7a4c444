"""The rules and the trained network together: what each may say, and what both must leave alone."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from tests.unit.builtin.test_scratches import Psnr, Sample, creased
from tests.unit.builtin.tiny_nets import finder, write

from relume.builtin.inpaint import repair
from relume.builtin.measure import Damage
from relume.builtin.nets import NO_NETS, Nets
from relume.imaging.photo import Photo
from relume.ports import RunContext


@pytest.fixture(scope="module")
def shipped() -> Nets:
    return Nets(threads=1)


def found(photo: Photo, nets: Nets) -> NDArray[np.bool_]:
    return Damage(photo, nets).scratches.mask


def test_clean_photos_have_no_damage(clean: Photo, shipped: Nets) -> None:
    assert not found(clean, shipped).any()


@pytest.mark.parametrize("name", ["camera", "coins", "moon", "page", "brick"])
def test_clean_greyscale_photos_have_none(name: str, sample: Sample, shipped: Nets) -> None:
    assert not found(Photo(sample(name)[..., None]), shipped).any()


@pytest.mark.parametrize("name", ["astronaut", "chelsea", "camera", "coins"])
def test_clean_photos_made_to_look_old_have_next_to_none(name: str, sample: Sample, shipped: Nets) -> None:
    image = sample(name)
    grey = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    old = Photo((grey * 0.7 + 60).astype(np.uint8)[..., None])
    assert found(old, shipped).mean() < 0.001


def test_creases_of_a_colour_photo_are_mended_by_the_network_alone(
    chelsea: Photo, shipped: Nets, psnr: Psnr
) -> None:
    photo, _ = creased(chelsea, width=5)
    assert not found(photo, NO_NETS).any()
    result, report = repair(photo, Damage(photo, shipped), RunContext())
    assert report.changed
    assert psnr(result, chelsea) > psnr(photo, chelsea) + 3


def lone_line(level: int) -> Photo:
    """A line that the rules find, in a faded greyscale photo, on ground that holds nothing else."""
    ground = np.add.outer(np.linspace(60, 90, 200), np.linspace(0, 40, 300)).astype(np.uint8)
    cv2.line(ground, (40, 30), (230, 120), level, 2)
    return Photo(ground[..., None])


def test_what_the_network_thinks_impossible_is_left(tmp_path: Path) -> None:
    """The tiny network calls white damage, and nothing below level 204."""
    nets = Nets(write(tmp_path, damage=finder()), threads=1)
    assert found(lone_line(190), NO_NETS).any()
    assert not found(lone_line(190), nets).any()
    assert found(lone_line(250), nets).any()
