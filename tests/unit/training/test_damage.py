from __future__ import annotations

import numpy as np
import pytest
from training.damage import make_sample
from training.damage_scenes import Image, draw_scene
from training.evaluate_mask import cases, f1

SIDE = 96


@pytest.fixture(scope="module")
def scene() -> Image:
    return draw_scene(np.random.default_rng(1), SIDE)


def test_a_scene_uses_the_range_of_a_photo(scene: Image) -> None:
    assert scene.shape == (SIDE, SIDE, 3)
    assert scene.min() >= 0
    assert scene.max() <= 255
    assert scene.std() > 10


def test_a_clean_print_has_no_label(scene: Image) -> None:
    for seed in range(5):
        assert not make_sample(np.random.default_rng(seed), scene, is_clean=True).label.any()


def test_labels_lie_where_the_print_is_visibly_off(scene: Image) -> None:
    """Beyond noise and JPEG: 0 where it is as it was, 1 where it is not, 255 where it is hard to say."""
    damaged = 0
    for seed in range(20):
        sample = make_sample(np.random.default_rng(seed), scene, is_clean=False)
        assert set(np.unique(sample.label)) <= {0, 1, 255}
        off = np.abs(sample.image.astype(float) - sample.truth).max(axis=2)
        if (sample.label == 1).sum() > 100:
            damaged += 1
            assert off[sample.label == 1].mean() > 1.5 * off[sample.label == 0].mean()
    assert damaged > 10


def test_the_same_seed_gives_the_same_print(scene: Image) -> None:
    first, second = (make_sample(np.random.default_rng(3), scene, is_clean=False) for _ in range(2))
    assert np.array_equal(first.image, second.image)
    assert np.array_equal(first.label, second.label)


def test_the_other_generator_damages_what_its_truth_says() -> None:
    grey = np.full((80, 100, 3), 90, np.uint8)
    for case in cases({"grey": grey}):
        off = np.abs(case.damaged.astype(float) - case.clean).max(axis=2)
        assert 0.001 < case.truth.mean() < 0.6
        assert off[case.truth].mean() > 10
        assert off[~case.truth].mean() < 5


def test_f1_counts_neighbours_within_the_tolerance() -> None:
    truth, found = np.zeros((20, 20), bool), np.zeros((20, 20), bool)
    truth[5] = True
    found[6] = True
    assert f1(found, truth) == 0
    assert f1(found, truth, 1) == 1
    assert f1(truth, truth) == 1
