"""Local weights that come and go while the service runs: real files, small models with random weights."""

from __future__ import annotations

import asyncio
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
from structlog.testing import capture_logs

from relume.engines.detect import Cascade
from relume.engines.engine import EngineOptions
from relume.engines.models import identify
from relume.engines.stock import Stock
from relume.engines.watch import WeightsWatch
from relume.engines.weights import Identity, Weights, WeightsFolder
from relume.errors import ProviderError
from relume.imaging.photo import Photo
from relume.ports import RunContext
from relume.providers import local as module
from relume.providers.local import LocalProvider
from relume.tasks import RestoreFaces, Upscale
from tests.unit.engines.nets import compact, need_packages, put


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    need_packages()
    path = tmp_path_factory.mktemp("elsewhere")
    put(compact(4), path, "four.pth")
    put(compact(2), path, "two.pth")
    return path


class Place:
    """A folder of weights, and the provider that works with it."""

    def __init__(self, folder: Path) -> None:
        self.weights = folder / "weights"
        self.weights.mkdir()
        watch = WeightsWatch(WeightsFolder(self.weights, folder / "index.json", identify))
        self.local = LocalProvider(watch.first(), EngineOptions(folder / "models"), watch=watch)

    async def look(self, times: int = 2) -> None:
        for _ in range(times):
            await self.local.refresh()

    def loaded(self) -> set[str]:
        return {digest for digest, _ in self.local._models._engines}


@pytest.fixture
def place(tmp_path: Path, elsewhere: Path) -> Place:
    del elsewhere  # It sees to it that the packages are here.
    return Place(tmp_path)


def photo() -> Photo:
    rows, columns = np.mgrid[0:48, 0:64]
    pixels = np.stack([rows * 3, columns * 2, rows + columns], 2)
    return Photo(pixels.astype(np.uint8))


async def test_weights_that_come_are_used_without_a_restart(place: Place, elsewhere: Path) -> None:
    assert "no weights in WEIGHTS_DIR" in str(place.local.unavailable())
    before = place.local.fingerprint
    shutil.copy(elsewhere / "two.pth", place.weights)
    with capture_logs() as logs:
        await place.look()
    assert [(entry["event"], entry["weights"], entry["licence"]) for entry in logs] == [
        ("weights.found", "two.pth", "unknown")
    ]
    assert place.local.unavailable() is None
    assert place.local.supports(Upscale(2))
    assert place.local.fingerprint != before, "results of the cache are another model's"
    result = await place.local.run(Upscale(2), photo(), RunContext())
    assert result.photo is not None
    assert (result.photo.width, result.photo.height) == (128, 96)


async def test_weights_that_go_leave_the_lists_and_the_memory(place: Place, elsewhere: Path) -> None:
    for name in ("two.pth", "four.pth"):
        shutil.copy(elsewhere / name, place.weights)
    await place.look()
    for scale in (2, 4):
        await place.local.run(Upscale(scale), photo(), RunContext())
    assert len(place.loaded()) == 2
    (place.weights / "two.pth").unlink()
    with capture_logs() as logs:
        await place.look(1)
    assert [entry["event"] for entry in logs] == ["weights.gone", "model.unloaded"]
    assert len(place.loaded()) == 1
    result = await place.local.run(Upscale(2), photo(), RunContext())
    assert "4 times" not in result.steps[0].detail
    assert result.photo is not None
    assert result.photo.width == 128, "the model for four times does it, averaged down"
    (place.weights / "four.pth").unlink()
    await place.look(1)
    assert place.loaded() == set()
    assert "no weights in WEIGHTS_DIR" in str(place.local.unavailable())
    assert not place.local.supports(Upscale(2))
    with pytest.raises(ProviderError, match="not in WEIGHTS_DIR any more"):
        await place.local.run(Upscale(2), photo(), RunContext())
    with pytest.raises(ProviderError, match="not in WEIGHTS_DIR any more"):
        await place.local.run(RestoreFaces(), photo(), RunContext())


async def test_one_of_two_equal_files_is_enough(place: Place, elsewhere: Path) -> None:
    for name in ("two.pth", "copy.pth"):
        shutil.copy(elsewhere / "two.pth", place.weights / name)
    await place.look()
    await place.local.run(Upscale(2), photo(), RunContext())
    (place.weights / "copy.pth").unlink()
    await place.look(1)
    assert len(place.loaded()) == 1
    assert place.local.supports(Upscale(2))


async def test_a_running_job_keeps_its_weights_to_the_end(place: Place, elsewhere: Path) -> None:
    """Its file goes while it runs, the folder is looked at, and the model is unloaded after it."""
    shutil.copy(elsewhere / "two.pth", place.weights)
    await place.look()
    inside, go_on = threading.Event(), threading.Event()

    def halt(_fraction: float, _step: str) -> None:
        inside.set()
        go_on.wait(60)

    running = asyncio.create_task(place.local.run(Upscale(2), photo(), RunContext(on_progress=halt)))
    await asyncio.to_thread(inside.wait, 60)
    (place.weights / "two.pth").unlink()
    await place.look(1)
    assert not place.local.supports(Upscale(2))
    assert len(place.loaded()) == 1, "the running job holds it"
    go_on.set()
    result = await running
    assert result.photo is not None
    assert result.photo.width == 128
    assert place.loaded() == set()


async def test_what_was_opened_of_weights_that_are_gone_is_forgotten(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Detectors and recognisers are OpenCV's: their real files are not here."""
    monkeypatch.setattr(module, "YuNet", lambda _path: Cascade())
    detector = Weights(Path("d.onnx"), "d" * 64, 1, Identity("detector", "YuNet"), None)
    local = LocalProvider([detector], EngineOptions(Path("nowhere")))
    assert isinstance(local._face_detector(local._stock), Cascade)
    assert list(local._detectors) == ["d" * 64]
    local._stock = Stock()
    local._let_go()
    assert local._detectors == {}


async def test_a_detector_that_cannot_be_read_is_the_providers_fault(tmp_path: Path) -> None:
    broken = tmp_path / "yunet.onnx"
    broken.write_bytes(b"no graph")
    faces = Weights(tmp_path / "f.pth", "f" * 64, 1, Identity("faces", "GFPGAN"), None)
    detector = Weights(broken, "d" * 64, 8, Identity("detector", "YuNet"), None)
    local = LocalProvider([faces, detector], EngineOptions(tmp_path))
    with pytest.raises(ProviderError, match=r"OpenCV cannot read yunet\.onnx"):
        await local.run(RestoreFaces(), photo(), RunContext())
