"""A task that names Replicate's model exactly: who may draw it, and that nobody else does."""

from __future__ import annotations

import pytest

from relume.picture_models import FLUX_SCHNELL, STABLE_DIFFUSION
from relume.providers.huggingface import HuggingFaceConfig, HuggingFaceProvider
from relume.providers.mock import MOCK_TOKEN, MockProvider
from relume.settings import load_settings
from relume.tasks import TextToImage


def wanted(model: str) -> TextToImage:
    return TextToImage("a lake", model=model, exact_model=True)


@pytest.mark.parametrize(
    ("model", "config", "may"),
    [
        (FLUX_SCHNELL, HuggingFaceConfig(token="hf"), True),
        (FLUX_SCHNELL, HuggingFaceConfig(), False),
        (f"{FLUX_SCHNELL}:{'a' * 64}", HuggingFaceConfig(token="hf"), False),
        (FLUX_SCHNELL, HuggingFaceConfig(token="hf", base_url="http://127.0.0.1:9"), False),
        (STABLE_DIFFUSION, HuggingFaceConfig(token="hf"), False),
        ("someone/painter", HuggingFaceConfig(token="hf"), False),
    ],
)
def test_hugging_face_draws_where_it_has_the_same_weights(
    model: str, config: HuggingFaceConfig, may: bool
) -> None:
    assert HuggingFaceProvider(config).supports(wanted(model)) is may


def test_a_name_that_need_not_be_exact_is_asked_for_as_it_is() -> None:
    hugging_face = HuggingFaceProvider(HuggingFaceConfig(token="hf"))
    assert hugging_face.supports(TextToImage("a lake", model="someone/painter"))
    assert hugging_face._image_model(TextToImage("a lake", model="someone/painter")) == "someone/painter"
    assert (
        hugging_face._image_model(TextToImage("a lake", model=FLUX_SCHNELL))
        == "black-forest-labs/FLUX.1-schnell"
    )
    assert hugging_face._image_model(wanted(FLUX_SCHNELL)) == "black-forest-labs/FLUX.1-schnell"


@pytest.mark.parametrize(
    ("settings", "may"),
    [({}, False), ({"replicate_api_token": MOCK_TOKEN}, True), ({"provider": "mock"}, True)],
)
def test_the_mock_draws_in_mock_mode_or_when_it_is_chosen(settings: dict[str, str], may: bool) -> None:
    mock = MockProvider.from_settings(load_settings(**settings))
    assert mock.supports(wanted(FLUX_SCHNELL)) is may
    assert mock.supports(TextToImage("a lake"))
