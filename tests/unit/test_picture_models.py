"""Which models clients may name, and what each takes."""

from __future__ import annotations

import pytest

from relume.errors import SettingsError, UnknownModel
from relume.picture_models import (
    FLUX_SCHNELL,
    PICTURE_MODELS,
    STABLE_DIFFUSION,
    check_allowed,
    is_plain,
    picture_model,
)
from relume.settings import load_settings

PINNED = f"{STABLE_DIFFUSION}:{PICTURE_MODELS[STABLE_DIFFUSION].version}"
OTHER = f"{STABLE_DIFFUSION}:{'b' * 64}"


@pytest.mark.parametrize(
    ("reference", "allowed", "may"),
    [
        (FLUX_SCHNELL, (FLUX_SCHNELL,), True),
        (STABLE_DIFFUSION, (FLUX_SCHNELL,), False),
        (PINNED, (STABLE_DIFFUSION,), True),
        (OTHER, (STABLE_DIFFUSION,), False),
        (OTHER, (OTHER,), True),
        (STABLE_DIFFUSION, (OTHER,), False),
        (f"{FLUX_SCHNELL}:{'b' * 64}", (FLUX_SCHNELL,), False),
        ("someone/painter", ("*",), True),
        (OTHER, ("*",), True),
        ("someone/painter", (), False),
    ],
)
def test_a_client_runs_only_what_the_operator_allows(
    reference: str, allowed: tuple[str, ...], may: bool
) -> None:
    if may:
        check_allowed(reference, allowed)
        return
    with pytest.raises(UnknownModel) as refused:
        check_allowed(reference, allowed)
    assert (", ".join(allowed) or "none") in refused.value.detail


def test_by_default_the_models_of_the_table_are_allowed() -> None:
    assert load_settings().generation_models == tuple(PICTURE_MODELS)


def test_a_list_with_something_else_than_models_stops_the_start() -> None:
    assert load_settings(generation_models="*").generation_models == ("*",)
    with pytest.raises(SettingsError, match="GENERATION_MODELS is wrong: 'flux' must look like owner/name"):
        load_settings(generation_models="flux, someone/painter")


@pytest.mark.parametrize(
    ("model", "name", "good", "bad"),
    [
        (FLUX_SCHNELL, "num_inference_steps", [1, 4], [0, 5, 2.0, "4", True, None]),
        (FLUX_SCHNELL, "num_outputs", [1], [0, 2, True]),
        (FLUX_SCHNELL, "aspect_ratio", ["16:9"], ["16:10", 1, []]),
        (FLUX_SCHNELL, "go_fast", [True, False], [1, 0, "true"]),
        (STABLE_DIFFUSION, "width", [64, 1024], [65, 0, 1088, 2048]),
        (STABLE_DIFFUSION, "guidance_scale", [1, 7.5, 20], [0.9, 20.1, float("nan"), float("inf"), "7"]),
        (STABLE_DIFFUSION, "negative_prompt", ["blurry"], ["", " ", "a\0b", "\ud800", "x" * 2001]),
        ("someone/painter", "scheduler", ["Euler"], ["", "x" * 51]),
    ],
)
def test_options_have_bounds(model: str, name: str, good: list[object], bad: list[object]) -> None:
    rule = picture_model(model).options[name]
    assert [value for value in good if not rule.accepts(value)] == []
    assert [value for value in bad if rule.accepts(value)] == []


def test_bounds_are_told_in_words() -> None:
    assert PICTURE_MODELS[FLUX_SCHNELL].options["num_outputs"].wanted == "1"
    assert PICTURE_MODELS[FLUX_SCHNELL].options["go_fast"].wanted == "true or false"
    assert PICTURE_MODELS[FLUX_SCHNELL].options["output_format"].wanted == "png, webp or jpg"
    assert PICTURE_MODELS[STABLE_DIFFUSION].options["width"].wanted == "a multiple of 64 from 64 to 1024"
    assert PICTURE_MODELS[STABLE_DIFFUSION].options["guidance_scale"].wanted == "a number from 1 to 20"


def test_a_text_that_no_database_takes_is_not_plain() -> None:
    assert is_plain("Đà Lạt 🌸")
    assert not is_plain("a\0b")
    assert not is_plain("\udc00")
