"""Spaces that cannot be spoken to: each fails at once, and as a provider's error. The good case is in
tests/functional/test_real_gradio.py."""

from __future__ import annotations

import json
from typing import Any

import pytest

from relume.errors import ProviderBusy, ProviderError, ProviderRefused, ProviderTimeout, ProviderUnavailable
from relume.imaging.decode import decode
from relume.ports import Result, RunContext
from relume.providers.huggingface import HuggingFaceConfig, HuggingFaceProvider
from relume.tasks import Upscale
from tests.doubles.openai import JSON
from tests.loopback import Loopback
from tests.photos import encoded

PHOTO = decode(encoded("PNG", 16, 12))


class TestSpacesThatFail:
    """A Space that cannot be spoken to fails at once, and as a provider's error."""

    @staticmethod
    async def _upscaled(source: str, **config: Any) -> Result:
        provider = HuggingFaceProvider(HuggingFaceConfig(space_upscale=source, **config))
        return await provider.run(Upscale(2), PHOTO, RunContext())

    async def test_one_of_gradio_3_is_refused(self) -> None:
        config = {"version": "3.50.2", "components": [], "dependencies": [{"api_name": "predict"}]}
        async with Loopback(status=404) as server:
            server.pages["/config"] = (200, JSON, json.dumps(config).encode())
            with pytest.raises(ProviderRefused, match="The Hugging Face Space is not available"):
                await self._upscaled(server.url(""))
        assert [request.path for request in server.requests] == ["/config"]

    @pytest.mark.parametrize(
        ("status", "body", "error"),
        [
            (200, b"<html>Paused</html>", ProviderRefused),
            (200, b"{}", ProviderRefused),
            (200, b"[1]", ProviderRefused),
            (200, b'{"protocol": "sse_v3"}', ProviderRefused),
            (200, b'{"protocol": "sse_v3", "version": "6.0.0", "dependencies": 1}', ProviderRefused),
            (404, b"", ProviderRefused),
            (503, b"", ProviderUnavailable),
            (401, b"", ProviderRefused),
            (429, b"", ProviderBusy),
        ],
    )
    async def test_a_server_that_speaks_no_gradio(
        self, status: int, body: bytes, error: type[ProviderError]
    ) -> None:
        async with Loopback(status=status) as server:
            server.pages["/config"] = (status, {}, body)
            with pytest.raises(error):
                await self._upscaled(server.url(""), token="hf_secret")
        assert all("hf_secret" not in str(request.headers) for request in server.requests)

    async def test_a_server_that_is_not_there(self) -> None:
        async with Loopback() as server:
            address = server.url("")
        with pytest.raises(ProviderUnavailable, match="not available"):
            await self._upscaled(address)

    @pytest.mark.parametrize("path", ["/config", "/info?serialize=False"])
    async def test_a_server_that_says_nothing_is_left_at_the_deadline(self, path: str) -> None:
        config = {"protocol": "sse_v3", "version": "6.0.0", "dependencies": [], "components": []}
        async with Loopback() as server:
            server.pages["/config"] = (200, JSON, json.dumps(config).encode())
            server.hang.add(path)
            with pytest.raises(ProviderTimeout):
                await self._upscaled(server.url(""), timeout_seconds=1)
        assert server.requests[-1].path == path

    @pytest.mark.parametrize(
        ("status", "info", "error"),
        [
            (200, {"host": "http://x", "runtime": {"stage": "PAUSED"}}, ProviderRefused),
            (200, {"host": "http://x", "runtime": {"stage": "BUILDING"}}, ProviderRefused),
            (200, {"runtime": {"stage": "RUNNING"}}, ProviderRefused),
            (200, [], ProviderRefused),
            (401, {}, ProviderRefused),
            (404, {}, ProviderRefused),
            (429, {}, ProviderBusy),
            (500, {}, ProviderUnavailable),
        ],
    )
    async def test_a_space_that_is_not_at_work(
        self, status: int, info: object, error: type[ProviderError]
    ) -> None:
        async with Loopback() as hub:
            hub.pages["/api/spaces/a/b"] = (status, JSON, json.dumps(info).encode())
            with pytest.raises(error):
                await self._upscaled("a/b", hub_url=hub.url(""))
