from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from relume.engines import weights as module
from relume.engines.weights import (
    Identity,
    KnownWeights,
    WeightsFolder,
    known_weights,
    sha256_of,
    write_whole,
)


class Looker:
    """Says what unknown files are, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, path: Path) -> Identity:
        self.asked.append(path.name)
        return Identity("upscaler", "Some net", 2)


def folder(tmp_path: Path, looker: Looker) -> WeightsFolder:
    return WeightsFolder(tmp_path / "weights", tmp_path / "cache" / "index.json", looker)


@pytest.fixture
def one_known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> KnownWeights:
    file = tmp_path / "known.pth"
    file.write_bytes(b"known")
    entry = KnownWeights(
        "Known.pth",
        "",
        5,
        sha256_of(file),
        "Known net",
        "faces",
        1,
        "tests",
        "MIT",
        "Not on Sundays.",
        "v9",
        "Ann Author",
        "https://example.org/net",
    )
    monkeypatch.setattr(module, "known_weights", lambda: (entry,))
    return entry


def test_the_table_of_known_weights_is_whole() -> None:
    assert len(known_weights()) == 6
    for known in known_weights():
        assert len(known.sha256) == 64
        assert known.url.startswith("https://")
        assert known.url.endswith(f"/{known.file}")
        assert known.licence
        assert known.by
        assert known.project.startswith("https://github.com/")
    assert {known.kind for known in known_weights()} == {"upscaler", "faces", "detector"}


def test_licences_with_conditions_say_so() -> None:
    notes = {known.file: known.licence_note for known in known_weights()}
    assert "research or evaluation only" in notes["GFPGANv1.4.pth"]
    assert notes["RealESRGAN_x4plus.pth"] == ""


def test_no_folder_is_no_weights(tmp_path: Path) -> None:
    assert folder(tmp_path, Looker()).scan() == []


def test_known_weights_are_told_by_content_whatever_their_name(
    tmp_path: Path, one_known: KnownWeights
) -> None:
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "RealESRGAN_x4plus.pth").write_bytes(b"known")
    looker = Looker()
    (found,) = folder(tmp_path, looker).scan()
    assert (found.known, found.kind, found.family) == (one_known, "faces", "Known net")
    assert found.version == f"v9 {one_known.sha256[:12]}"
    assert looker.asked == []
    credit = found.credit
    assert (credit.model, credit.licence, credit.by) == ("Known net", "MIT", "Ann Author")
    assert (credit.licence_note, credit.project) == ("Not on Sundays.", "https://example.org/net")


def test_unknown_weights_are_looked_into_once(tmp_path: Path) -> None:
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "GFPGANv1.4.pth").write_bytes(b"something")
    (tmp_path / "weights" / "notes.txt").write_bytes(b"nothing")
    looker = Looker()
    (found,) = folder(tmp_path, looker).scan()
    assert (found.kind, found.family, found.scale, found.licence) == ("upscaler", "Some net", 2, "unknown")
    credit = found.credit
    assert (credit.model, credit.version, credit.licence, credit.by) == (
        "Some net",
        found.sha256[:12],
        "unknown",
        "",
    )
    assert folder(tmp_path, looker).scan() == [found]
    assert looker.asked == ["GFPGANv1.4.pth"]


def test_what_waits_for_a_package_is_looked_into_again(tmp_path: Path) -> None:
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "net.pth").write_bytes(b"something")
    waiting = WeightsFolder(
        tmp_path / "weights",
        tmp_path / "index.json",
        lambda _path: Identity("other", "unknown", problem="torch must be installed", can_pass=True),
    )
    (before,) = waiting.scan()
    assert before.identity.problem
    (after,) = WeightsFolder(tmp_path / "weights", tmp_path / "index.json", Looker()).scan()
    assert after.family == "Some net"


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "weights" / "net.pth"
    path.parent.mkdir()
    path.write_bytes(b"one")
    looker = Looker()
    (before,) = folder(tmp_path, looker).scan()
    path.write_bytes(b"two")
    os.utime(path, ns=(1, 1))
    (after,) = folder(tmp_path, looker).scan()
    assert before.sha256 != after.sha256
    assert looker.asked == ["net.pth", "net.pth"]


@pytest.mark.parametrize("broken", [b"", b"[]", b'{"net.pth": {}}', b'{"net.pth": 3}', b"\xff"])
def test_a_broken_index_costs_time_and_nothing_else(tmp_path: Path, broken: bytes) -> None:
    (tmp_path / "weights").mkdir()
    (tmp_path / "cache").mkdir()
    (tmp_path / "weights" / "net.pth").write_bytes(b"one")
    (tmp_path / "cache" / "index.json").write_bytes(broken)
    assert [found.family for found in folder(tmp_path, Looker()).scan()] == ["Some net"]


def test_a_file_is_written_whole_by_whoever_comes_last(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "file.json"
    contents = [bytes([65 + index]) * 100_000 for index in range(4)]
    threads = [threading.Thread(target=write_whole, args=(target, content)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert target.read_bytes() in contents
    assert list(target.parent.iterdir()) == [target]
