"""run.py on a checkout of its own: a tiny project that pip can install without a network."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

RUN_PY = Path(__file__).parents[2] / "run.py"
PYPROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]

[project]
name = "relume"
version = "1"
optional-dependencies = { dev = [] }
"""
BACKEND = """
import os
import zipfile

if os.environ.get("BREAK_THE_BUILD"):
    raise SystemExit("the build was broken on purpose")


def build_editable(folder, config_settings=None, metadata_directory=None):
    name = "relume-1-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(folder, name), "w") as wheel:
        wheel.writestr("relume.pth", os.getcwd())
        wheel.writestr("relume-1.dist-info/METADATA", "Metadata-Version: 2.1\\nName: relume\\nVersion: 1\\n"
                       "Provides-Extra: dev\\n")
        wheel.writestr("relume-1.dist-info/WHEEL", "Wheel-Version: 1.0\\nTag: py3-none-any\\n")
        wheel.writestr("relume-1.dist-info/RECORD", "")
    return name
"""
PROGRAM = """
import json
import os
import sys

print(json.dumps({"arguments": sys.argv[1:], "cwd": os.getcwd(), "home": os.environ["RELUME_HOME"]}))
sys.exit(7)
"""
TOOL = "import sys; print('{name}', *sys.argv[1:]); sys.exit({code})"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout whose first start is over: that takes seconds, so that it is done once."""
    folder = tmp_path_factory.mktemp("checkout")
    shutil.copy(RUN_PY, folder / "run.py")
    (folder / "pyproject.toml").write_text(PYPROJECT)
    (folder / "backend.py").write_text(BACKEND)
    (folder / "relume").mkdir()
    (folder / "relume" / "__init__.py").write_text("")
    (folder / "relume" / "__main__.py").write_text(PROGRAM)
    first = start(folder)
    assert "Installed in" in first.stderr, first.stderr
    assert first.returncode == 7
    return folder


@pytest.fixture
def checkout(installed: Path) -> Iterator[Path]:
    """The same with everything as the first start left it."""
    stamp = installed / ".venv" / "relume-stamp.json"
    before = stamp.read_text()
    yield installed
    (installed / "pyproject.toml").write_text(PYPROJECT)
    stamp.write_text(before)


def environment(**variables: str) -> dict[str, str]:
    hidden = ("RELUME_HOME", "RELUME_VENV", "PYTHONPATH")
    kept = {name: value for name, value in os.environ.items() if name not in hidden}
    return kept | {"PIP_NO_INDEX": "1"} | variables


def start(
    folder: Path, *arguments: str, cwd: Path | None = None, **variables: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(folder / "run.py"), *arguments],
        cwd=cwd or folder,
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=100,
    )


def test_a_second_start_installs_nothing_and_serves_from_any_folder(checkout: Path, tmp_path: Path) -> None:
    second = start(checkout, cwd=tmp_path)
    assert second.stderr == ""
    assert second.returncode == 7, "the program's own exit code"
    told = json.loads(second.stdout)
    assert told == {"arguments": ["serve"], "cwd": str(tmp_path), "home": str(checkout)}


def test_files_in_the_present_folder_stand_in_for_no_module(checkout: Path, tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('not this one')")
    (tmp_path / "relume.py").write_text("raise SystemExit('not this one')")
    assert start(checkout, cwd=tmp_path).returncode == 7


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (["--port", "9000"], ["serve", "--port", "9000"]),
        (["restore", "photo.jpg"], ["restore", "photo.jpg"]),
        (["--version"], ["--version"]),
    ],
)
def test_arguments_go_to_relume(checkout: Path, given: list[str], meant: list[str]) -> None:
    assert json.loads(start(checkout, *given).stdout)["arguments"] == meant


def test_help_needs_no_installation(tmp_path: Path) -> None:
    shutil.copy(RUN_PY, tmp_path / "run.py")
    helped = start(tmp_path, "--help")
    assert "python3 run.py test" in helped.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["run.py"]


def test_a_changed_project_is_installed_again(checkout: Path) -> None:
    (checkout / "pyproject.toml").write_text(PYPROJECT + "# changed\n")
    assert "Installing Relume" in start(checkout).stderr
    assert start(checkout).stderr == ""


def test_a_failed_installation_is_told_and_tried_again(checkout: Path) -> None:
    (checkout / "pyproject.toml").write_text(PYPROJECT + "# changed\n")
    failed = start(checkout, BREAK_THE_BUILD="1")
    assert failed.returncode == 1
    assert "the build was broken on purpose" in failed.stderr
    assert failed.stderr.splitlines()[-1].startswith("run.py: Relume's packages could not be installed")
    assert "Creating" in start(checkout).stderr, "what pip left half done is not built upon"


def test_the_checks_run_all_and_pytest_last(checkout: Path) -> None:
    scripts = checkout / ".venv" / ("Scripts" if os.name == "nt" else "bin")
    for name, code in (("ruff", 1), ("mypy", 0), ("pytest", 0)):
        (checkout / f"{name}.py").write_text(TOOL.format(name=name, code=code))
    if os.name != "nt":
        (scripts / "lint-imports").write_text("#!/bin/sh\necho lint-imports\n")
        (scripts / "lint-imports").chmod(0o755)
    checked = start(checkout, "test")
    assert checked.returncode == 1, "ruff said no"
    lines = checked.stdout.splitlines()
    assert [line for line in lines if line.startswith("===")] == [
        "=== ruff check",
        "=== ruff format",
        "=== mypy",
        "=== import-linter",
        "=== pytest",
    ]
    assert lines[-1].startswith("pytest -n")
    assert "ruff check FAILED" in checked.stdout
    assert "mypy ok" in checked.stdout
    only = start(checkout, "test", "tests/unit", "-x")
    assert (only.returncode, only.stdout) == (0, "pytest tests/unit -x\n")


def test_two_starts_at_once_install_once(checkout: Path) -> None:
    (checkout / "pyproject.toml").write_text(PYPROJECT + "# changed\n")
    both = [
        subprocess.Popen(
            [sys.executable, str(checkout / "run.py")],
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    told = [process.communicate(timeout=100)[1] for process in both]
    assert [process.returncode for process in both] == [7, 7]
    assert sum("Installing Relume" in stderr for stderr in told) == 1
