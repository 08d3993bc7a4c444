"""Spaces against a real gradio server, in a process of its own."""

from __future__ import annotations

import asyncio
import importlib.util
import io
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from relume.errors import JobCancelled, OutputInvalid, ProviderError, ProviderRefused, ProviderTimeout
from relume.imaging.decode import decode
from relume.imaging.photo import Photo
from relume.ports import Result, RunContext
from relume.providers.huggingface import HuggingFaceConfig, HuggingFaceProvider
from relume.providers.verify import verify
from relume.tasks import Cartoonify, Upscale
from tests.loopback import Loopback
from tests.peers import missing
from tests.photos import encoded

APP = Path(__file__).parents[1] / "doubles" / "gradio_app.py"
START_SECONDS = 60


@dataclass
class GradioServer:
    url: str
    folder: Path

    @property
    def ticks(self) -> int:
        file = self.folder / "ticks"
        return file.stat().st_size if file.exists() else 0


def _interpreter() -> str:
    """A Python with gradio, which cannot share an environment with the service's Pillow."""
    named = os.environ.get("RELUME_TEST_GRADIO_PYTHON")
    if named:
        return named
    if importlib.util.find_spec("gradio") is None:
        missing("gradio (a Python that has it, named by RELUME_TEST_GRADIO_PYTHON)")
    return sys.executable


@pytest.fixture(scope="module")
def gradio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GradioServer]:
    folder = tmp_path_factory.mktemp("gradio")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [_interpreter(), str(APP), str(port), str(folder)],
            env=environment | {"GRADIO_ANALYTICS_ENABLED": "False", "GRADIO_TEMP_DIR": str(folder / "files")},
            stdout=log,
            stderr=log,
        )
    server = GradioServer(f"http://127.0.0.1:{port}", folder)
    try:
        _wait_for(server, process)
        yield server
    finally:
        process.kill()
        process.wait()


def _wait_for(server: GradioServer, process: subprocess.Popen[bytes]) -> None:
    for _ in range(START_SECONDS * 5):
        assert process.poll() is None, (server.folder / "log").read_text()
        try:
            if httpx.get(f"{server.url}/config").is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    pytest.fail("gradio did not start:\n" + (server.folder / "log").read_text())


@pytest.fixture
def photo() -> Photo:
    return decode(encoded("JPEG", 40, 24))


async def upscale(server: GradioServer, photo: Photo, endpoint: str | None, scale: int = 4) -> Result:
    config = HuggingFaceConfig(space_upscale=server.url, space_upscale_endpoint=endpoint)
    return await HuggingFaceProvider(config).run(Upscale(scale), photo, RunContext())


@pytest.mark.parametrize("scale", [2, 4])
async def test_a_photo_is_upscaled_at_least_to_the_scale(
    gradio: GradioServer, photo: Photo, scale: int
) -> None:
    """The Space always makes four times; its first endpoint takes no photo, and its mode has a default."""
    result = await upscale(gradio, photo, None, scale)
    assert result.photo is not None
    assert (result.photo.width, result.photo.height) == (160, 96)
    assert verify(Upscale(scale), photo, result) is result
    back = np.asarray(Image.fromarray(result.photo.pixels).resize((40, 24), Image.Resampling.BOX), int)
    assert np.abs(back - photo.pixels).mean() < 6
    assert (result.provider, result.generative, result.cost_usd) == ("huggingface", True, 0.0)


async def test_a_parameter_for_the_scale_is_filled_and_the_first_of_several_outputs_counts(
    gradio: GradioServer, photo: Photo
) -> None:
    result = await upscale(gradio, photo, "/scaled", 3)
    assert result.photo is not None
    assert (result.photo.width, result.photo.height) == (120, 72)


async def test_a_space_is_found_by_its_id(gradio: GradioServer, photo: Photo) -> None:
    async with Loopback() as hub:
        space = {"id": "somebody/VToonify", "host": gradio.url, "runtime": {"stage": "RUNNING"}}
        hub.pages["/api/spaces/somebody/VToonify"] = (200, {}, json.dumps(space).encode())
        config = HuggingFaceConfig(
            space_cartoonify="somebody/VToonify",
            space_cartoonify_endpoint="cartoon",
            token="hf_test",
            hub_url=hub.url(""),
        )
        result = await HuggingFaceProvider(config).run(Cartoonify(), photo, RunContext())
    assert result.photo is not None
    assert len(np.unique(result.photo.pixels)) <= 4
    assert result.model == "VToonify"
    assert hub.requests[0].headers["authorization"] == "Bearer hf_test"


async def test_only_pixels_leave_and_the_rest_is_put_back(gradio: GradioServer) -> None:
    exif = Image.Exif()
    exif[0x010E] = "Grandmother at home"
    grey = decode(encoded("PNG", 32, 24, "LA", exif=exif, dpi=(300, 300)))
    result = await upscale(gradio, grey, "predict")
    assert result.photo is not None
    assert result.photo.is_greyscale
    assert result.photo.alpha is not None
    assert result.photo.alpha.shape == (96, 128)
    assert result.photo.metadata == grey.metadata
    sent = [file for file in (gradio.folder / "files").rglob("*") if file.name.startswith("photo")]
    assert sent
    assert all(b"Grandmother" not in file.read_bytes() for file in sent)
    assert all(not Image.open(io.BytesIO(file.read_bytes())).getexif() for file in sent)


@pytest.mark.parametrize(
    ("endpoint", "error"),
    [
        ("broken", OutputInvalid),
        ("nothing-here", ProviderRefused),
        ("about", ProviderRefused),
    ],
)
async def test_what_fails_there_fails_here_in_friendly_words(
    gradio: GradioServer, photo: Photo, endpoint: str, error: type[ProviderError]
) -> None:
    with pytest.raises(error) as caught:
        await upscale(gradio, photo, endpoint)
    assert "The Hugging Face Space" in caught.value.detail
    assert "secret" not in caught.value.detail


async def test_another_section_of_the_photo_does_not_count(gradio: GradioServer, photo: Photo) -> None:
    result = await upscale(gradio, photo, "crop", 1)
    with pytest.raises(OutputInvalid, match="wrong size"):
        verify(Upscale(1), photo, result)


async def test_a_run_past_its_deadline_is_cancelled_at_the_space(gradio: GradioServer, photo: Photo) -> None:
    """The Space would take a minute."""
    config = HuggingFaceConfig(space_upscale=gradio.url, space_upscale_endpoint="slow", timeout_seconds=3)
    with pytest.raises(ProviderTimeout):
        await HuggingFaceProvider(config).run(Upscale(2), photo, RunContext())
    await _until_quiet(gradio)


@pytest.mark.parametrize("by", ["the user", "the end of this process"])
async def test_a_run_that_is_cancelled_is_cancelled_at_the_space(
    gradio: GradioServer, photo: Photo, by: str
) -> None:
    before = gradio.ticks
    config = HuggingFaceConfig(space_upscale=gradio.url, space_upscale_endpoint="slow")
    context = RunContext()
    run = asyncio.create_task(HuggingFaceProvider(config).run(Upscale(2), photo, context))
    while gradio.ticks == before:
        assert not run.done()
        await asyncio.sleep(0.05)
    if by == "the user":
        context.cancelled.set()
    else:
        run.cancel()
    with pytest.raises((JobCancelled, asyncio.CancelledError)):
        await run
    await _until_quiet(gradio)


async def _until_quiet(server: GradioServer) -> None:
    for _ in range(20):
        before = server.ticks
        await asyncio.sleep(0.5)
        if server.ticks == before:
            return
    pytest.fail("the Space is still at work")


async def test_nothing_is_left_on_this_machine(
    gradio: GradioServer, photo: Photo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    await upscale(gradio, photo, "predict")
    assert _entries(tmp_path) == []
    for thread in threading.enumerate():
        if thread.name == "space-goodbye":
            thread.join()


def _entries(folder: Path) -> list[Path]:
    return list(folder.iterdir())
