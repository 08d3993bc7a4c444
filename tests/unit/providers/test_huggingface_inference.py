"""Pictures through Hugging Face's own client, with the hub and the router played by a server of ours."""

from __future__ import annotations

import json
from typing import Any

import huggingface_hub.constants
import numpy as np
import pytest
from huggingface_hub.inference._providers import PROVIDERS

from relume.errors import (
    OutputInvalid,
    ProviderBusy,
    ProviderError,
    ProviderNoCredit,
    ProviderRefused,
    ProviderTimeout,
    ProviderUnavailable,
)
from relume.imaging.decode import decode
from relume.ports import Result, RunContext
from relume.providers.huggingface import HuggingFaceConfig, HuggingFaceProvider
from relume.tasks import TextToImage
from tests.doubles.openai import JSON
from tests.loopback import Loopback
from tests.photos import encoded

PICTURE = TextToImage(
    "a lighthouse",
    width=96,
    height=64,
    seed=7,
    negative_prompt="people",
    num_inference_steps=4,
    guidance_scale=2.5,
)


class TestInferenceProviders:
    MODEL = "somebody/diffusion"

    @staticmethod
    def _hub(server: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", server.url(""))
        helper = PROVIDERS["hf-inference"]["text-to-image"]
        monkeypatch.setattr(helper, "base_url", server.url("/router"))
        mapping = {"status": "live", "providerId": "somebody/diffusion", "task": "text-to-image"}
        model = {
            "id": "somebody/diffusion",
            "pipeline_tag": "text-to-image",
            "inferenceProviderMapping": {"hf-inference": mapping},
        }
        for query in ("", "?expand=inferenceProviderMapping"):
            path = f"/api/models/somebody/diffusion{query}"
            server.pages[path] = (200, JSON, json.dumps(model).encode())

    async def _run(self, model: str = MODEL, **config: Any) -> Result:
        provider = HuggingFaceProvider(HuggingFaceConfig(token="hf_secret", image_model=model, **config))
        return await provider.run(PICTURE, None, RunContext())

    async def test_a_picture_from_the_model_that_is_configured(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async with Loopback(status=404) as server:
            self._hub(server, monkeypatch)
            picture = encoded("PNG", 96, 64)
            server.pages[f"/router/models/{self.MODEL}"] = (200, {"Content-Type": "image/png"}, picture)
            result = await self._run()
        assert result.photo is not None
        assert np.array_equal(result.photo.pixels, decode(picture).pixels)
        assert result.model == self.MODEL
        asked = server.requests[-1]
        assert asked.headers["authorization"] == "Bearer hf_secret"
        assert json.loads(asked.body)["parameters"] == {"width": 96, "height": 64} | PICTURE.options()
        assert set(PICTURE.options()) == {"seed", "negative_prompt", "num_inference_steps", "guidance_scale"}

    @pytest.mark.parametrize(
        ("status", "error"),
        [
            (401, ProviderRefused),
            (402, ProviderNoCredit),
            (429, ProviderBusy),
            (503, ProviderUnavailable),
            (200, OutputInvalid),
        ],
    )
    async def test_each_failure_of_the_router_has_its_error(
        self, monkeypatch: pytest.MonkeyPatch, status: int, error: type[ProviderError]
    ) -> None:
        async with Loopback(status=404) as server:
            self._hub(server, monkeypatch)
            server.pages[f"/router/models/{self.MODEL}"] = (status, {"Retry-After": "9"}, b"<html></html>")
            with pytest.raises(error) as caught:
                await self._run()
        assert type(caught.value) is error
        assert (status != 429) or caught.value.extra["retry_after_seconds"] == 9

    async def test_a_slow_router_ends_at_the_deadline(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async with Loopback(status=404) as server:
            self._hub(server, monkeypatch)
            server.hang.add(f"/router/models/{self.MODEL}")
            with pytest.raises(ProviderTimeout):
                await self._run(timeout_seconds=0.5)

    async def test_a_model_nobody_knows_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async with Loopback(status=404) as server:
            self._hub(server, monkeypatch)
            with pytest.raises(ProviderRefused):
                await self._run("somebody/else")

    @pytest.mark.parametrize("model", ["http://127.0.0.1:1/x", "https://evil.example/a/b", "../..", "a/b/c"])
    async def test_the_token_is_never_sent_to_an_address_given_as_a_model(
        self, monkeypatch: pytest.MonkeyPatch, model: str
    ) -> None:
        async with Loopback(status=404) as server:
            self._hub(server, monkeypatch)
            with pytest.raises(ProviderRefused):
                await self._run(model)
        assert server.requests == []
