from __future__ import annotations

import cv2
import numpy as np
import pytest

from relume.builtin import exemplar
from relume.builtin.exemplar import fill_from_alike
from relume.builtin.inpaint import inpaint
from relume.builtin.levels import Levels, Mask


@pytest.fixture
def stripes() -> Levels:
    """Slanted, 8 pixels apart, in three colours."""
    rows, columns = np.mgrid[:80, :80]
    wave = 128 + 80 * np.sin((rows + 2 * columns) * 2 * np.pi / 16)
    return np.stack([wave, 0.8 * wave, 255 - wave], axis=-1).astype(np.float32)


@pytest.fixture
def scratch() -> Mask:
    mask = np.zeros((80, 80), np.uint8)
    cv2.line(mask, (5, 20), (75, 55), 1, 5)
    return mask > 0


def guess_for(levels: Levels, mask: Mask) -> Levels:
    return np.where(mask[..., None], levels[~mask].mean(axis=0), levels).astype(np.float32)


def test_texture_is_carried_across_a_scratch(stripes: Levels, scratch: Mask) -> None:
    planes = [
        cv2.inpaint(
            np.ascontiguousarray(stripes[..., channel]), scratch.astype(np.uint8), 4, cv2.INPAINT_TELEA
        )
        for channel in range(3)
    ]
    smooth = np.stack(planes, axis=-1)
    error = np.abs(inpaint(stripes, scratch) - stripes)[scratch].mean()
    assert error < 0.5 * np.abs(smooth - stripes)[scratch].mean()


def test_nothing_outside_the_mask_changes(stripes: Levels, scratch: Mask) -> None:
    filled = fill_from_alike(stripes, scratch, guess_for(stripes, scratch))
    assert np.array_equal(filled[~scratch], stripes[~scratch])


def test_what_lies_under_the_scratch_has_no_say(stripes: Levels, scratch: Mask) -> None:
    painted = np.where(scratch[..., None], np.float32(255), stripes)
    assert np.array_equal(inpaint(painted, scratch), inpaint(stripes, scratch))


def test_where_nothing_known_is_near_the_guess_stays() -> None:
    levels = np.full((60, 60, 1), 90, np.float32)
    mask = np.zeros((60, 60), bool)
    mask[:, :58] = True
    guess = np.full((60, 60, 1), 40, np.float32)
    filled = fill_from_alike(levels, mask, guess)
    assert np.all(filled[:, :30] == 40)
    assert np.all(filled[:, 57] == 90)


def test_an_empty_mask_changes_nothing(stripes: Levels) -> None:
    assert np.array_equal(fill_from_alike(stripes, np.zeros((80, 80), bool), stripes * 0), stripes)


def test_a_wide_loss_is_filled_in_one_round(
    monkeypatch: pytest.MonkeyPatch, stripes: Levels, scratch: Mask
) -> None:
    """Faster, and still better than the guess."""
    guess = guess_for(stripes, scratch)
    monkeypatch.setattr(exemplar, "_MANY", 10)
    filled = fill_from_alike(stripes, scratch, guess)
    assert np.abs(filled - stripes)[scratch].mean() < 0.7 * np.abs(guess - stripes)[scratch].mean()
