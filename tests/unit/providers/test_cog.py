"""Cog as a provider, against scripted answers. tests/functional/test_real_cog.py has the real server."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import AsyncIterator

import pytest

from relume.errors import (
    JobCancelled,
    OutputInvalid,
    ProviderBusy,
    ProviderError,
    ProviderRefused,
    ProviderTimeout,
    ProviderUnavailable,
)
from relume.ports import RunContext
from relume.providers import cog
from relume.providers.cog import CogProvider
from relume.settings import Settings
from relume.tasks import Cartoonify, RestoreFaces, Task, Upscale
from tests import photos
from tests.doubles import pictures
from tests.loopback import Loopback
from tests.unit.providers.hosted import photo

SECONDS = {"metrics": {"predict_time": 1.0}}


class Id:
    """The one id that all predictions of a test get."""

    hex = "abc"


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Loopback]:
    monkeypatch.setattr(cog, "uuid4", Id)
    async with Loopback(status=404) as running:
        yield running


@pytest.fixture
async def provider(server: Loopback) -> AsyncIterator[CogProvider]:
    made = CogProvider(dict.fromkeys(("restore_faces", "upscale"), server.url("")), timeout_seconds=20)
    yield made
    await made.aclose()


def answer(server: Loopback, **fields: object) -> None:
    server.pages["/predictions/abc"] = (200, {}, json.dumps(fields).encode())


def output() -> str:
    return pictures.to_data_uri(pictures.made_from(photos.encoded("PNG"), 2))


@pytest.mark.parametrize(
    ("task", "asked", "family"),
    [
        (RestoreFaces("v1.4", scale=2), {"version": "v1.4", "scale": 2}, "GFPGAN"),
        (Upscale(2), {"scale": 2, "face_enhance": False}, "Real-ESRGAN"),
    ],
)
async def test_asks_as_replicate_is_asked(
    server: Loopback, provider: CogProvider, task: Task, asked: dict[str, object], family: str
) -> None:
    answer(server, status="succeeded", output=output(), **SECONDS)
    result = await provider.run(task, photo(), RunContext())
    assert result.photo is not None
    assert (result.photo.width, result.photo.height) == (128, 96)
    assert (result.model, result.provider, result.cost_usd) == (family, "cog", 0.0)
    request = server.requests[0]
    assert (request.method, request.path) == ("PUT", "/predictions/abc")
    assert "authorization" not in request.headers
    sent = json.loads(request.body)["input"]
    assert {name: value for name, value in sent.items() if name not in ("img", "image")} == asked


async def test_takes_a_file_from_its_own_host_alone(server: Loopback, provider: CogProvider) -> None:
    server.pages["/out.png"] = (200, {}, pictures.made_from(photos.encoded("PNG"), 2))
    answer(server, status="succeeded", output=[server.url("/out.png")])
    assert (await provider.run(Upscale(2), photo(), RunContext())).photo is not None
    answer(server, status="succeeded", output=server.url("/out.png").replace("127.0.0.1", "127.0.0.2"))
    with pytest.raises(OutputInvalid, match="unexpected place"):
        await provider.run(Upscale(2), photo(), RunContext())


@pytest.mark.parametrize(
    ("status", "fields", "kind", "sentence"),
    [
        (409, {"error": "At capacity", "status": "failed"}, ProviderBusy, "The Cog server is busy"),
        (422, {"detail": "scale is too large"}, ProviderRefused, "did not accept the request"),
        (503, {}, ProviderUnavailable, "cannot be reached"),
        (200, {"status": "failed", "error": "boom /src"}, ProviderError, "could not process this"),
        (200, {"status": "canceled"}, ProviderError, "was cancelled"),
        (202, {"status": "processing"}, ProviderError, "do not understand"),
        (200, {"status": "odd"}, ProviderError, "do not understand"),
        (200, {"status": "succeeded", "output": None}, OutputInvalid, "gave no image"),
        (200, {"status": "succeeded", "output": "data:image/png,x"}, OutputInvalid, "gave no picture"),
    ],
)
async def test_what_goes_wrong(
    server: Loopback,
    provider: CogProvider,
    status: int,
    fields: dict[str, object],
    kind: type[ProviderError],
    sentence: str,
) -> None:
    server.pages["/predictions/abc"] = (status, {}, json.dumps(fields).encode())
    with pytest.raises(ProviderError, match=sentence) as caught:
        await provider.run(Upscale(2), photo(), RunContext())
    assert type(caught.value) is kind


async def test_a_server_that_is_down_can_be_tried_again() -> None:
    async with Loopback() as gone:
        url = gone.url("")
    provider = CogProvider({"upscale": url})
    with pytest.raises(ProviderUnavailable):
        await provider.run(Upscale(2), photo(), RunContext())
    await provider.aclose()


@pytest.mark.parametrize("is_cancelled", [True, False])
async def test_what_is_given_up_is_cancelled_there(
    server: Loopback, provider: CogProvider, is_cancelled: bool
) -> None:
    server.hang.add("/predictions/abc")
    server.pages["/predictions/abc/cancel"] = (200, {}, b"{}")
    cancelled = threading.Event()
    context = RunContext(deadline=time.monotonic() + 0.4, cancelled=cancelled)
    if is_cancelled:
        context = RunContext(cancelled=cancelled, on_progress=lambda _fraction, _step: cancelled.set())
    with pytest.raises(JobCancelled if is_cancelled else ProviderTimeout):
        await provider.run(Upscale(2), photo(), context)
    paths = [request.path for request in server.requests]
    assert paths[-1] == "/predictions/abc/cancel"


def test_says_what_it_can_do() -> None:
    none = CogProvider.from_settings(Settings())
    assert none.unavailable() == "neither COG_FACES_URL nor COG_UPSCALE_URL is set"
    assert not none.supports(Upscale(2))
    faces = CogProvider.from_settings(Settings(cog_faces_url="http://127.0.0.1:5000"))
    assert faces.unavailable() is None
    assert faces.supports(RestoreFaces())
    assert not faces.supports(RestoreFaces(region="eyes"))
    assert not faces.supports(RestoreFaces(faces=(0,)))
    assert not faces.supports(Upscale(2))
    assert not faces.supports(Cartoonify())
