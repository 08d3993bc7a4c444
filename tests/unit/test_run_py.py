"""When run.py's environment is kept, added to and made anew. The installation itself is a functional test."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("run_py", Path(__file__).parents[2] / "run.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


run_py: Any = _load()


class FakeEnvironment(run_py.Environment):  # type: ignore[misc]
    """Notes what would be done: creating links this Python, and installing does nothing."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.done: list[str] = []

    def _create(self) -> None:
        self.done.append("create")
        self.python.parent.mkdir(parents=True, exist_ok=True)
        (self.folder / "pyvenv.cfg").write_text("")
        self.python.symlink_to(sys.executable)

    def _pip_install(self, requirement: str) -> None:
        self.done.append(requirement)


class Killed(FakeEnvironment):
    def _pip_install(self, requirement: str) -> None:
        raise KeyboardInterrupt


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "pyproject.toml").write_text("one")
    monkeypatch.setattr(run_py, "ROOT", tmp_path)
    return tmp_path


pytestmark = pytest.mark.skipif(os.name == "nt", reason="the stand-in environment is a link to Python")


def ensure(project: Path, *extras: str) -> list[str]:
    environment = FakeEnvironment(project / ".venv")
    environment.ensure(extras)
    return environment.done


def test_only_the_first_start_installs(project: Path) -> None:
    assert ensure(project) == ["create", "."]
    assert ensure(project) == []


def test_the_checks_add_to_it_and_stay(project: Path) -> None:
    ensure(project)
    assert ensure(project, "dev") == [".[dev]"]
    assert ensure(project) == []
    (project / "pyproject.toml").write_text("two")
    assert ensure(project) == [".[dev]"]


@pytest.mark.parametrize(
    ("value", "extras"),
    [(None, []), ("", []), ("local", ["local"]), ("local, distributed,", ["local", "distributed"])],
)
def test_extras_can_be_asked_for(
    monkeypatch: pytest.MonkeyPatch, value: str | None, extras: list[str]
) -> None:
    monkeypatch.delenv("RELUME_EXTRAS", raising=False)
    if value is not None:
        monkeypatch.setenv("RELUME_EXTRAS", value)
    assert run_py.wanted_extras() == extras


def test_an_extra_is_added_to_an_environment_without_it(project: Path) -> None:
    assert ensure(project, "dev") == ["create", ".[dev]"]
    assert ensure(project, "dev", "local") == [".[dev,local]"]
    assert ensure(project, "dev") == []


def test_an_interrupted_installation_starts_over(project: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        Killed(project / ".venv").ensure(())
    assert ensure(project) == ["create", "."]
    assert ensure(project) == []


@pytest.mark.parametrize("stamp", ["", "[]", '{"state": "rea'])
def test_a_stamp_that_cannot_be_read_is_no_stamp(project: Path, stamp: str) -> None:
    ensure(project)
    (project / ".venv" / "relume-stamp.json").write_text(stamp)
    assert ensure(project) == ["."]


def test_another_python_means_another_environment(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ensure(project)
    monkeypatch.setattr(run_py.platform, "python_version", lambda: "3.99.0")
    assert ensure(project) == ["create", "."]


def test_a_moved_checkout_means_another_environment(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ensure(project)
    moved = project / "moved"
    moved.mkdir()
    (project / "pyproject.toml").rename(moved / "pyproject.toml")
    (project / ".venv").rename(moved / ".venv")
    monkeypatch.setattr(run_py, "ROOT", moved)
    assert ensure(moved) == ["create", "."]


def test_a_python_that_is_gone_is_replaced(project: Path) -> None:
    ensure(project)
    python = project / ".venv" / "bin" / "python"
    python.unlink()
    python.symlink_to(project / "nowhere")
    assert ensure(project) == ["create", "."]


def test_an_environment_of_somebody_else_is_added_to_not_deleted(project: Path) -> None:
    foreign = FakeEnvironment(project / ".venv")
    foreign._create()
    (project / ".venv" / "theirs").write_text("")
    assert ensure(project) == ["."]
    assert (project / ".venv" / "theirs").exists()


def test_a_folder_that_is_no_environment_is_refused(project: Path) -> None:
    (project / ".venv").mkdir()
    (project / ".venv" / "letter.txt").write_text("dear")
    with pytest.raises(run_py.SetupError, match="not a virtual environment"):
        ensure(project)
    assert [path.name for path in (project / ".venv").iterdir()] == ["letter.txt"]


def test_an_old_python_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(run_py.sys, "version_info", (3, 9, 1))
    assert run_py.main([]) == 1
    assert "Relume needs Python 3.11 or newer" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("output", "sentence"),
    [
        ("... NewConnectionError(...) ...", "The package index cannot be reached"),
        ("ERROR: something else", "could not be installed"),
    ],
)
def test_why_pip_failed_is_one_sentence(
    output: str, sentence: str, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing_pip(_self: object, _command: Sequence[str]) -> tuple[int, str]:
        return 1, output

    monkeypatch.setattr(run_py.Environment, "_run", failing_pip)
    (project / ".venv").mkdir()
    with pytest.raises(run_py.SetupError, match=sentence):
        run_py.Environment(project / ".venv")._pip_install(".")
