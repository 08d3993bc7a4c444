from __future__ import annotations

import pytest

from relume.picture_models import FLUX_SCHNELL
from relume.providers.prices import estimate, price_table, settle
from relume.providers.replicate_models import GFPGAN, MODELS, REAL_ESRGAN


@pytest.mark.parametrize("model", MODELS)
def test_every_model_of_ours_has_a_price(model: str) -> None:
    assert 0 < (estimate(model) or 0) < 0.05


def test_a_photo_through_the_default_pipeline_costs_about_four_tenths_of_a_cent() -> None:
    assert (estimate(GFPGAN) or 0) + (estimate(REAL_ESRGAN) or 0) == pytest.approx(0.0039, abs=0.0002)


def test_settles_by_the_second_or_by_the_run() -> None:
    assert settle(GFPGAN, 10) == pytest.approx(0.00225)
    assert settle(FLUX_SCHNELL, 10) == settle(FLUX_SCHNELL, None) == 0.003
    assert settle(GFPGAN, None) == pytest.approx(estimate(GFPGAN), abs=1e-6)


def test_a_model_that_is_not_listed_is_counted_as_a_dear_one() -> None:
    assert estimate("someone/painter") is None
    assert settle("someone/painter", 2) == pytest.approx(2 * max(price_table().usd_per_second.values()))
    assert settle("someone/painter", None) == 0


def test_all_hardware_is_listed() -> None:
    table = price_table()
    named = {price.hardware for price in table.models.values()} - {None} | {table.unlisted_hardware}
    assert named <= set(table.usd_per_second)
