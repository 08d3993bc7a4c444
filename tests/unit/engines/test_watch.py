"""Weights that come and go, in a real folder."""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from relume.engines import weights as module
from relume.engines.models import identify
from relume.engines.watch import WeightsWatch
from relume.engines.weights import Identity, Weights, WeightsFolder
from tests.unit.engines.nets import compact, need_packages, put


class Looker:
    """Says what files are, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, path: Path) -> Identity:
        self.asked.append(path.name)
        return Identity("upscaler", "Some net", 2)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "weights"
    path.mkdir()
    return path


@pytest.fixture
def looker() -> Looker:
    return Looker()


@pytest.fixture
def watch(tmp_path: Path, weights: Path, looker: Looker) -> WeightsWatch:
    return WeightsWatch(WeightsFolder(weights, tmp_path / "cache" / "index.json", looker))


def names(found: list[Weights] | None) -> list[str] | None:
    return None if found is None else [weights.path.name for weights in found]


def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of files whose hash is computed from now on."""
    told: list[str] = []
    compute = module.sha256_of

    def note(path: Path) -> str:
        told.append(path.name)
        return compute(path)

    monkeypatch.setattr(module, "sha256_of", note)
    return told


def test_what_comes_is_taken_at_the_second_look_and_read_once(
    watch: WeightsWatch, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (weights / "old.pth").write_bytes(b"old")
    assert names(watch.first()) == ["old.pth"]
    hashed = read(monkeypatch)
    assert watch.look() is None
    (weights / "new.pth").write_bytes(b"new")
    (weights / "notes.txt").write_bytes(b"no weights")
    assert watch.look() is None
    assert names(watch.look()) == ["new.pth", "old.pth"]
    assert watch.look() is None
    assert hashed == ["new.pth"]


def test_what_grows_waits_until_it_rests(
    watch: WeightsWatch, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch.first()
    hashed = read(monkeypatch)
    path = weights / "net.pth"
    for _ in range(4):
        with path.open("ab") as file:
            file.write(b"piece")
        assert watch.look() is None
    assert hashed == []
    assert names(watch.look()) == ["net.pth"]


def test_what_was_half_there_at_the_start_is_read_again_when_it_has_grown(
    tmp_path: Path, weights: Path
) -> None:
    """With a real file of weights."""
    need_packages()
    whole = put(compact(), tmp_path / "elsewhere").path
    data = whole.read_bytes()
    (weights / "net.pth").write_bytes(data[: len(data) // 2])
    watch = WeightsWatch(WeightsFolder(weights, tmp_path / "index.json", identify))
    (half,) = watch.first()
    assert half.identity.problem
    (weights / "net.pth").write_bytes(data)
    assert watch.look() == []
    (found,) = watch.look() or []
    assert (found.kind, found.scale, found.identity.problem) == ("upscaler", 4, "")


def test_what_is_gone_is_gone_at_once(watch: WeightsWatch, weights: Path, looker: Looker) -> None:
    (weights / "a.pth").write_bytes(b"a")
    (weights / "b.pth").write_bytes(b"b")
    watch.first()
    (weights / "a.pth").unlink()
    assert names(watch.look()) == ["b.pth"]
    shutil.rmtree(weights)
    assert watch.look() == []
    assert watch.look() is None
    assert looker.asked == ["a.pth", "b.pth"]


def test_what_is_written_over_is_another_file(watch: WeightsWatch, weights: Path) -> None:
    path = weights / "net.pth"
    path.write_bytes(b"one")
    (before,) = watch.first()
    path.write_bytes(b"two")
    os.utime(path, ns=(1, 1))
    assert watch.look() == []
    (after,) = watch.look() or []
    assert after.sha256 != before.sha256


def test_what_changes_while_it_is_read_is_not_taken(
    watch: WeightsWatch, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch.first()
    (weights / "net.pth").write_bytes(b"begun")
    watch.look()
    compute = module.sha256_of

    def grows(path: Path) -> str:
        digest = compute(path)
        with path.open("ab") as file:
            file.write(b"more")
        return digest

    with monkeypatch.context() as patch:
        patch.setattr(module, "sha256_of", grows)
        assert watch.look() is None
    assert watch.look() is None
    (found,) = watch.look() or []
    assert found.size_bytes == len(b"begunmore")


def test_a_lost_index_makes_nothing_be_read_again(
    tmp_path: Path, watch: WeightsWatch, weights: Path, looker: Looker, monkeypatch: pytest.MonkeyPatch
) -> None:
    (weights / "old.pth").write_bytes(b"old")
    watch.first()
    shutil.rmtree(tmp_path / "cache")
    hashed = read(monkeypatch)
    (weights / "new.pth").write_bytes(b"new")
    watch.look()
    watch.look()
    assert hashed == ["new.pth"]
    assert looker.asked == ["old.pth", "new.pth"]
    again = WeightsWatch(WeightsFolder(weights, tmp_path / "cache" / "index.json", looker))
    assert names(again.first()) == ["new.pth", "old.pth"]
    assert hashed == ["new.pth"]


def test_what_cannot_be_read_is_tried_again_and_told_once(
    watch: WeightsWatch, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_path: Path) -> str:
        raise PermissionError(13, "Permission denied")

    watch.first()
    (weights / "net.pth").write_bytes(b"mine")
    with monkeypatch.context() as patch, capture_logs() as logs:
        patch.setattr(module, "sha256_of", refuse)
        assert [watch.look() for _ in range(4)] == [None] * 4
    assert [entry["event"] for entry in logs] == ["weights.unreadable"]
    assert names(watch.look()) == ["net.pth"]


def test_a_folder_that_cannot_be_listed_now_has_not_changed(
    watch: WeightsWatch, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (weights / "net.pth").write_bytes(b"mine")
    watch.first()

    def fails(_folder: object) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch, capture_logs() as logs:
        patch.setattr("os.scandir", fails)
        assert [watch.look(), watch.look()] == [None, None]
    assert [(entry["event"], entry["reason"]) for entry in logs] == [
        ("weights.unreadable", "Input/output error")
    ]
    assert watch.look() is None


def test_many_threads_look_at_once(watch: WeightsWatch, weights: Path, looker: Looker) -> None:
    watch.first()
    (weights / "net.pth").write_bytes(b"mine")
    told: list[list[Weights] | None] = []
    threads = [threading.Thread(target=lambda: told.append(watch.look())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [names(found) for found in told if found is not None] == [["net.pth"]]
    assert looker.asked == ["net.pth"]
