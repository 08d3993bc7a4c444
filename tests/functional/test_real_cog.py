"""Cog's own server, from its package, with a model of a few lines."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from relume.errors import JobCancelled, ProviderBusy, ProviderError, ProviderTimeout
from relume.ports import RunContext
from relume.providers.cog import CogProvider
from relume.tasks import RestoreFaces, Upscale
from tests.peers import missing
from tests.unit.providers.hosted import noise, photo

_START_SECONDS = 60
_MODEL = """
import tempfile, time
from cog import BasePredictor, Input, Path
from PIL import Image

class Predictor(BasePredictor):
    def predict(
        self,
        image: Path = Input(description="photo"),
        scale: float = Input(default=4, ge=0, le=10),
        face_enhance: bool = Input(default=False),
    ) -> Path:
        if scale == 7:
            raise RuntimeError("boom in /src/predict.py")
        while scale == 9:
            time.sleep(0.02)
        made = Path(tempfile.mkdtemp()) / "made.png"
        with Image.open(str(image)) as photo:
            photo.resize((photo.width * int(scale), photo.height * int(scale)), Image.BILINEAR).save(made)
        return made
"""
_FAILS, _NEVER_ENDS = Upscale(7), Upscale(9)


@pytest.fixture(scope="module")
def cog_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if importlib.util.find_spec("cog") is None:
        missing("the cog package")
    folder = tmp_path_factory.mktemp("cog")
    (folder / "predict.py").write_text(_MODEL)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    environment = os.environ | {
        "COG_PREDICT_TYPE_STUB": "predict.py:Predictor",
        "PORT": str(port),
        "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])),
        "TMPDIR": str(folder),
    }
    command = [sys.executable, "-m", "cog.server.http", "--host", "127.0.0.1"]
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log) as process,
    ):
        try:
            _wait_until(f"http://127.0.0.1:{port}", "READY", folder / "log")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


@pytest.fixture
async def cog(cog_url: str, tmp_path: Path) -> AsyncIterator[CogProvider]:
    _wait_until(cog_url, "READY", tmp_path / "log")
    provider = CogProvider({"restore_faces": cog_url, "upscale": cog_url}, timeout_seconds=30)
    yield provider
    await provider.aclose()


async def test_it_upscales(cog: CogProvider) -> None:
    result = await cog.run(Upscale(2), photo(), RunContext())
    assert result.photo is not None
    assert (result.photo.width, result.photo.height) == (128, 96)
    assert (result.provider, result.model) == ("cog", "Real-ESRGAN")


async def test_it_takes_large_photos(cog: CogProvider) -> None:
    """3 megapixels of noise: 4 MB as a JPEG in a data URI."""
    result = await cog.run(Upscale(2), noise(2000, 1500), RunContext())
    assert result.photo is not None
    assert result.photo.width == 4000


@pytest.mark.parametrize("task", [_FAILS, RestoreFaces()])
async def test_a_failure_tells_nothing_of_the_server(cog: CogProvider, task: Upscale | RestoreFaces) -> None:
    """One fails by itself; the other names inputs that this model does not have."""
    with pytest.raises(ProviderError) as caught:
        await cog.run(task, photo(), RunContext())
    assert "/src" not in caught.value.detail
    assert not caught.value.can_pass


async def test_two_at_once_are_too_many(cog: CogProvider, cog_url: str) -> None:
    cancelled = threading.Event()
    running = asyncio.ensure_future(cog.run(_NEVER_ENDS, photo(), RunContext(cancelled=cancelled)))
    while _health(cog_url) != "BUSY":
        await asyncio.sleep(0.05)
    with pytest.raises(ProviderBusy):
        await cog.run(Upscale(2), photo(), RunContext())
    cancelled.set()
    with pytest.raises(JobCancelled):
        await running
    assert (await _after_that(cog, cog_url)) == 128


async def test_what_takes_too_long_is_cancelled_there(cog: CogProvider, cog_url: str) -> None:
    with pytest.raises(ProviderTimeout):
        await cog.run(_NEVER_ENDS, photo(), RunContext(deadline=time.monotonic() + 1))
    assert (await _after_that(cog, cog_url)) == 128


async def test_a_process_that_stops_frees_the_server(cog: CogProvider, cog_url: str) -> None:
    running = asyncio.ensure_future(cog.run(_NEVER_ENDS, photo(), RunContext()))
    while _health(cog_url) != "BUSY":
        await asyncio.sleep(0.05)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert (await _after_that(cog, cog_url)) == 128


async def _after_that(cog: CogProvider, url: str) -> int:
    """The width of the next result, as soon as the server is free."""
    while _health(url) != "READY":
        await asyncio.sleep(0.05)
    result = await cog.run(Upscale(2), photo(), RunContext())
    return result.photo.width if result.photo else 0


def _wait_until(url: str, status: str, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while _health(url) != status:
        words = log.read_text()[-2000:] if log.exists() else ""
        assert time.monotonic() < deadline, f"cog is not {status}: {words}"
        time.sleep(0.05)


def _health(url: str) -> str:
    try:
        return str(httpx.get(f"{url}/health-check", trust_env=False).json()["status"])
    except httpx.HTTPError:
        return "DOWN"
