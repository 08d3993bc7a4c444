"""Replicate as a provider, against the double: what goes over the wire, and what comes back."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import numpy as np
import pytest

from relume.ports import RunContext
from relume.providers.exchange import outgoing
from relume.providers.replicate import MOCK_TOKEN, ReplicateProvider
from relume.settings import Settings
from relume.tasks import Cartoonify, Denoise, RestoreFaces, Task, TextToImage, Upscale
from tests.doubles.replicate import ReplicateDouble
from tests.doubles.script import Fault, Plan
from tests.unit.providers.hosted import noise, photo


async def test_restores_faces_as_the_contract_says(
    double: ReplicateDouble, replicate: ReplicateProvider
) -> None:
    result = await replicate.run(RestoreFaces("v1.4", scale=2), photo(), RunContext())
    assert result.photo is not None
    assert (result.photo.width, result.photo.height) == (128, 96)
    assert (result.model, result.version, result.provider) == ("GFPGAN", "0fbacf7afc6c", "replicate")
    assert result.generative
    assert result.cost_usd == pytest.approx(8 * 0.000225)
    asked = double.inputs[0]
    assert asked.pop("img").startswith("data:image/png;base64,")
    assert asked == {"version": "v1.4", "scale": 2}


@pytest.mark.parametrize(
    ("task", "asked", "family"),
    [
        (RestoreFaces("v1.3", scale=1), {"version": "v1.3", "scale": 1}, "GFPGAN"),
        (Upscale(4), {"scale": 4, "face_enhance": False}, "Real-ESRGAN"),
        (Cartoonify(), {"style_type": "comic1", "style_degree": 0.5}, "VToonify"),
        (
            TextToImage("a dog", 1600, 900, seed=7),
            {
                "prompt": "a dog",
                "seed": 7,
                "aspect_ratio": "16:9",
                "output_format": "png",
                "num_outputs": 1,
                "megapixels": "1",
            },
            "FLUX schnell",
        ),
        (
            TextToImage("a dog", 500, 770, model="stability-ai/stable-diffusion"),
            {"prompt": "a dog", "width": 512, "height": 768, "num_outputs": 1},
            "Stable Diffusion",
        ),
        (
            TextToImage("a dog", 300, 200, model=f"someone/painter:{'a' * 64}"),
            {"prompt": "a dog", "width": 300, "height": 200},
            "painter",
        ),
    ],
)
async def test_asks_each_model_in_its_own_words(
    double: ReplicateDouble, replicate: ReplicateProvider, task: Task, asked: dict[str, Any], family: str
) -> None:
    source = None if isinstance(task, TextToImage) else photo()
    result = await replicate.run(task, source, RunContext())
    assert result.photo is not None
    if isinstance(task, TextToImage):
        assert (result.photo.width, result.photo.height) == (task.width, task.height)
    assert result.model == family
    assert {name: value for name, value in double.inputs[0].items() if name not in ("img", "image")} == asked


async def test_sends_its_key_and_a_time_to_give_up(
    double: ReplicateDouble, replicate: ReplicateProvider
) -> None:
    await replicate.run(Upscale(2), photo(), RunContext(deadline=time.monotonic() + 60))
    assert {received.authorization for received in double.received} == {"Bearer secret"}
    assert double.received[0].path == "/v1/predictions"
    assert double.received[0].cancel_after == "60s"
    await replicate.run(TextToImage("a dog"), None, RunContext())
    assert "/v1/models/black-forest-labs/flux-schnell/predictions" in [
        received.path for received in double.received
    ]


async def test_uploads_what_is_too_large_for_a_data_uri(
    double: ReplicateDouble, replicate: ReplicateProvider
) -> None:
    result = await replicate.run(Upscale(1), noise(400, 300), RunContext())
    assert result.photo is not None
    assert double.counts["upload"] == 1
    assert double.inputs[0]["image"].startswith(f"{double.url}/v1/files/")


async def test_what_base64_makes_too_large_is_uploaded_too(
    double: ReplicateDouble, replicate: ReplicateProvider
) -> None:
    source = noise(300, 240)
    assert 200_000 < len(outgoing(source).data) < 256_000 < len(outgoing(source).data_uri)
    await replicate.run(Upscale(1), source, RunContext())
    assert double.counts["upload"] == 1


async def test_sends_pixels_and_no_metadata(double: ReplicateDouble, replicate: ReplicateProvider) -> None:
    double.fail(Fault(call="delete", times=9))
    source = noise(1000, 900)  # 2.7 MB as PNG, so it goes as JPEG, where EXIF would have its place.
    result = await replicate.run(Upscale(1), source, RunContext())
    sent, media_type = next(iter(double.state.files.values()))
    assert media_type == "image/jpeg"
    assert b"secret place" not in sent
    assert result.photo is not None
    assert result.photo.metadata == source.metadata


@pytest.mark.parametrize("mode", ["L", "RGBA", "LA"])
async def test_a_result_has_the_channels_of_its_original(replicate: ReplicateProvider, mode: str) -> None:
    original = photo(mode=mode)
    result = await replicate.run(Upscale(2), original, RunContext())
    assert result.photo is not None
    assert result.photo.is_greyscale == (mode in ("L", "LA"))
    assert (result.photo.alpha is not None) == (mode != "L")
    if result.photo.alpha is not None:
        assert result.photo.alpha.shape == (96, 128)


async def test_sixteen_bits_stay_sixteen_bits(replicate: ReplicateProvider) -> None:
    original = photo()
    deep = original.with_pixels(original.pixels.astype(np.uint16) * np.uint16(257))
    result = await replicate.run(Upscale(2), deep, RunContext())
    assert result.photo is not None
    assert result.photo.pixels.dtype == np.uint16
    assert result.photo.pixels.max() > 255


@pytest.mark.parametrize("plan", [Plan(as_list=True), Plan(output="object"), Plan(output="data")])
async def test_takes_every_shape_of_output(
    double: ReplicateDouble, replicate: ReplicateProvider, plan: Plan
) -> None:
    double.plan(plan)
    result = await replicate.run(Upscale(2), photo(), RunContext())
    assert result.photo is not None
    assert result.photo.width == 128


async def test_carries_two_hundred_at_once(double: ReplicateDouble, replicate: ReplicateProvider) -> None:
    tiny = photo(8, 8)
    results = await asyncio.gather(
        *(replicate.run(Upscale(2), tiny, RunContext()) for _ in range(200)), return_exceptions=True
    )
    assert [result for result in results if isinstance(result, BaseException)] == []
    assert len(double.state.predictions) == 200


@pytest.mark.parametrize(
    ("task", "supported"),
    [
        (RestoreFaces("v1.2"), True),
        (RestoreFaces("v9"), False),
        (RestoreFaces(region="eyes"), False),
        (RestoreFaces(faces=(0,)), False),
        (Upscale(10), True),
        (Upscale(11), False),
        (TextToImage("a dog", model="owner/name"), True),
        (TextToImage("a dog", model="no owner"), False),
        (TextToImage("a dog", model="owner/name:short"), False),
        (Denoise(), False),
    ],
)
def test_supports_what_its_models_do(task: Task, supported: bool) -> None:
    assert ReplicateProvider("secret").supports(task) is supported


@pytest.mark.parametrize(
    ("token", "reason"),
    [(None, "REPLICATE_API_TOKEN is not set"), (MOCK_TOKEN, "mock mode"), ("r8_secret", None)],
)
def test_says_why_it_is_unavailable(token: str | None, reason: str | None) -> None:
    settings = Settings.model_validate({} if token is None else {"replicate_api_token": token})
    assert ReplicateProvider.from_settings(settings).unavailable() == reason
