"""How long the next photo takes, told from the last ones."""

from __future__ import annotations

import pytest

from relume.jobs.durations import Run, usual_seconds


def runs(*pairs: tuple[float, float]) -> list[Run]:
    """By megapixels and seconds."""
    return [Run(seconds, megapixels, ("builtin",)) for megapixels, seconds in pairs]


def test_nothing_is_known_of_nothing() -> None:
    assert usual_seconds([]) is None
    assert usual_seconds([], 12.0) is None


def test_without_a_size_the_median_counts() -> None:
    assert usual_seconds(runs((1, 2), (1, 3), (1, 100))) == 3


@pytest.mark.parametrize(("megapixels", "seconds"), [(1, 3), (12, 25), (48, 97)])
def test_a_fixed_part_and_a_part_by_size_are_told_apart(megapixels: float, seconds: float) -> None:
    known = runs(*((size, 1 + 2 * size) for size in (1, 2, 4, 8, 16, 24)))
    assert usual_seconds(known, megapixels) == pytest.approx(seconds)


def test_one_odd_run_moves_nothing() -> None:
    known = runs(*((size, 1 + 2 * size) for size in (1, 2, 3, 8, 9, 10, 16, 18)), (17, 900))
    assert usual_seconds(known, 12) == pytest.approx(25, rel=0.15)


def test_photos_of_one_size_tell_the_rate() -> None:
    assert usual_seconds(runs((2, 4), (2.1, 4.2), (2, 4)), 8) == pytest.approx(16)


def test_a_service_that_takes_the_same_time_for_all_does_so_for_the_next() -> None:
    assert usual_seconds(runs((1, 6), (4, 6), (12, 6)), 100) == 6


def test_no_photo_takes_less_than_nothing() -> None:
    found = usual_seconds(runs((1, 0.1), (2, 10), (3, 30)), 0.1)
    assert found is not None
    assert found > 0
