"""`relume models`, but for the models themselves."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from relume.cli import pulling
from relume.cli.main import app
from relume.engines import models as looking
from relume.engines import weights as module
from relume.engines.weights import Identity, KnownWeights

Relume = Callable[..., Result]


def entry(file: str, content: bytes, note: str = "") -> KnownWeights:
    digest = hashlib.sha256(content).hexdigest()
    return KnownWeights(
        file,
        f"http://127.0.0.1:9/{file}",
        len(content),
        digest,
        "Net",
        "upscaler",
        4,
        "tests",
        "MIT",
        note,
        "",
        "Ann Author",
        "https://example.org/net",
    )


@pytest.fixture
def relume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Relume:
    """The command line with weights in `tmp_path`, two of them known."""
    table = (entry("A.pth", b"content of A", "Only on Sundays."), entry("B.onnx", b"content of B"))
    monkeypatch.setattr(module, "known_weights", lambda: table)
    monkeypatch.setattr(looking, "identify", _identify)
    monkeypatch.setenv("RELUME_HOME", str(tmp_path))
    monkeypatch.setenv("WEIGHTS_DIR", str(tmp_path / "weights"))
    monkeypatch.setenv("STORAGE_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    return lambda *arguments, **options: CliRunner().invoke(app, ["models", *arguments], **options)


def _identify(path: Path) -> Identity:
    if path.read_bytes() == b"junk":
        return Identity("other", "unknown", problem="it cannot be read as weights")
    if path.read_bytes() == b"compares":
        return Identity("recogniser", "SFace")
    return Identity("upscaler", "Some net", 2)


def test_lists_what_is_here_and_what_is_not(relume: Relume, tmp_path: Path) -> None:
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "renamed.pth").write_bytes(b"content of A")
    (tmp_path / "weights" / "mine.pth").write_bytes(b"mine")
    (tmp_path / "weights" / "junk.pth").write_bytes(b"junk")
    (tmp_path / "weights" / "sface.onnx").write_bytes(b"compares")
    result = relume("list")
    lines = {line.split()[0]: line for line in result.stdout.splitlines() if line.strip()}
    assert result.exit_code == 0
    assert "here" in lines["renamed.pth"]
    assert "Some net, 2 times" in lines["mine.pth"]
    assert "it cannot be read as weights" in lines["junk.pth"]
    assert "SFace, compares restored faces" in lines["sface.onnx"]
    assert "not here" in lines["B.onnx"]
    assert "A.pth" not in lines
    assert "Net: by Ann Author, https://example.org/net" in result.stdout
    assert "Where a licence is unknown, ask" in result.stdout


def test_a_known_file_takes_its_own_name_back(relume: Relume, tmp_path: Path) -> None:
    (tmp_path / "download (1).pth").write_bytes(b"content of A")
    assert relume("import", "download (1).pth").exit_code == 0
    assert [path.name for path in (tmp_path / "weights").iterdir()] == ["A.pth"]
    assert "is here already" in relume("import", "download (1).pth").stdout


def test_files_that_cannot_be_used_are_refused_one_by_one(relume: Relume, tmp_path: Path) -> None:
    (tmp_path / "junk.pth").write_bytes(b"junk")
    (tmp_path / "net.pth").write_bytes(b"mine")
    (tmp_path / "photo.jpg").write_bytes(b"x")
    result = relume("import", "junk.pth", "absent.pth", "photo.jpg", "net.pth")
    assert result.exit_code == 1
    assert "cannot be read as weights" in result.stdout
    assert "no such file" in result.stdout
    assert "weights end in" in result.stdout
    assert [path.name for path in (tmp_path / "weights").iterdir()] == ["net.pth"]


def test_another_file_is_never_overwritten(relume: Relume, tmp_path: Path) -> None:
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "net.pth").write_bytes(b"old")
    (tmp_path / "net.pth").write_bytes(b"new")
    result = relume("import", "net.pth")
    assert result.exit_code == 1
    assert "another content" in result.stdout
    assert (tmp_path / "weights" / "net.pth").read_bytes() == b"old"


def test_verify_finds_a_damaged_file(relume: Relume, tmp_path: Path) -> None:
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "A.pth").write_bytes(b"content of A")
    assert relume("verify").exit_code == 0
    status = (tmp_path / "weights" / "A.pth").stat()
    (tmp_path / "weights" / "A.pth").write_bytes(b"content of a")
    os.utime(tmp_path / "weights" / "A.pth", ns=(status.st_atime_ns, status.st_mtime_ns))
    result = relume("verify")
    assert result.exit_code == 1
    assert "A.pth: damaged" in result.stdout


def test_nothing_is_downloaded_before_the_licence_is_accepted(
    relume: Relume, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []

    def note(wanted: list[KnownWeights], _folder: Path) -> list[str]:
        asked.append([known.file for known in wanted])
        return []

    monkeypatch.setattr(pulling, "pull_all", note)
    refused = relume("pull", "A.pth", input="n\n")
    assert refused.exit_code == 1
    assert "Only on Sundays." in refused.stdout
    assert asked == []
    assert relume("pull", "A.pth", "b", "A.pth", input="y\n").exit_code == 0
    assert relume("pull", "a", "--yes").exit_code == 0
    assert asked == [["A.pth", "B.onnx"], ["A.pth"]]


def test_an_unknown_name_lists_the_known_ones(relume: Relume) -> None:
    result = relume("pull", "C.pth", "--yes")
    assert result.exit_code == 2
    assert "B.onnx" in result.stderr


def test_without_a_network_each_file_has_its_sentence(relume: Relume) -> None:
    result = relume("pull", "A.pth", "B.onnx", "--yes")
    assert result.exit_code == 1
    assert "A.pth: 127.0.0.1 cannot be reached." in result.stdout
    assert "B.onnx: 127.0.0.1 cannot be reached." in result.stdout
