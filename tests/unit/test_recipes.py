"""Recipes: what each model id asks for."""

from __future__ import annotations

import math

import pytest

from relume.errors import InvalidParameter, UnknownModel
from relume.recipes import (
    CARTOON_MODEL,
    ENHANCE_FACES_MODEL,
    FIX_PHOTO_MODEL,
    GENERATION_MODEL,
    MODELS,
    PICTURE_MODEL,
    RESTORE_URL_MODEL,
    TEXT_MODEL,
    ModelCard,
    build,
    listed_models,
)
from relume.tasks import RestoreFaces, Upscale

PARAMETERS = {
    FIX_PHOTO_MODEL: {"version": "v1.3"},
    CARTOON_MODEL: {"style": "comic"},
    PICTURE_MODEL: {"prompt": "a lake"},
    TEXT_MODEL: {"prompt": "Dear"},
    GENERATION_MODEL: {"prompt": "a lake", "model": "black-forest-labs/flux-schnell"},
}


@pytest.mark.parametrize("card", MODELS.values(), ids=lambda card: card.id)
def test_tasks_multiply_to_the_scale(card: ModelCard) -> None:
    for scale in card.scales:
        recipe = build(card.id, scale=scale, parameters=PARAMETERS.get(card.id))
        assert math.prod(getattr(task, "scale", 1) for task in recipe.tasks) == scale


def test_contract_a_restores_faces_and_then_enlarges() -> None:
    assert build(RESTORE_URL_MODEL, strength=1.0, scale=4).tasks == (RestoreFaces("v1.4", 2), Upscale(2))
    assert RESTORE_URL_MODEL not in {card.id for card in listed_models()}


def test_contract_c_may_choose_among_faces() -> None:
    plain = build(ENHANCE_FACES_MODEL, scale=4)
    assert plain.tasks == (RestoreFaces("v1.4", 2), Upscale(2))
    chosen = build(ENHANCE_FACES_MODEL, scale=2, parameters={"region": "eyes", "faces": [0, 2]})
    assert chosen.tasks == (RestoreFaces("v1.4", 1, "eyes", (0, 2)), Upscale(2))


def test_an_unknown_model_names_the_known_ones() -> None:
    with pytest.raises(UnknownModel, match=r"restoration/gfpgans-1\.4"):
        build("nope")


@pytest.mark.parametrize("strength", [0.0, 0.09, 1.01, -1, math.nan, math.inf])
def test_strength_has_limits(strength: float) -> None:
    with pytest.raises(InvalidParameter):
        build("restoration/gfpgans-1.4", strength=strength)


def test_a_model_that_only_enlarges_cannot_keep_the_size() -> None:
    with pytest.raises(InvalidParameter, match="2 or 4"):
        build("enlarging/builtin-1", scale=1)
