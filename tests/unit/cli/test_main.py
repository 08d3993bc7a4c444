"""The program around the commands: options, settings, exit codes."""

from __future__ import annotations

import subprocess
import sys
import types
from pathlib import Path

import pytest
from typer.testing import CliRunner

import relume as relume_package
from relume import __version__
from relume.cli import main as program
from relume.cli.home import log_faults
from relume.settings import Settings, load_settings
from relume.telemetry import logger


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RELUME_HOME", raising=False)
    return tmp_path


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """What the server was started with."""
    settings: list[Settings] = []
    module = types.ModuleType("relume.http.server")
    module.serve = settings.append  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "relume.http.server", module)
    return settings


def relume(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["relume", *arguments])
    with pytest.raises(SystemExit) as ended:
        program.main()
    return int(ended.value.code or 0)


def test_the_version(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert relume(monkeypatch, "--version") == 0
    assert capsys.readouterr().out == f"relume {__version__}\n"


def test_help_names_every_command() -> None:
    text = CliRunner().invoke(program.app, ["--help"]).output
    assert all(command in text for command in ("serve", "restore", "doctor"))


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys, relume.cli.main\n"
        "heavy = {'cv2', 'numpy', 'PIL', 'fastapi', 'pydantic', 'sqlalchemy', 'anyio'} & sys.modules.keys()\n"
        "print('loaded:', *sorted(heavy))"
    )
    source = Path(relume_package.__file__).parents[1]
    told = subprocess.run(
        [sys.executable, "-c", code], cwd=source, capture_output=True, text=True, check=True
    )
    assert told.stdout == "loaded:\n"


def test_a_wrong_setting_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("API_PORT", "eighty")
    assert relume(monkeypatch, "serve") == 2
    told = capsys.readouterr().err
    assert told.startswith("relume: API_PORT is wrong:")
    assert told.count("\n") == 1


def test_the_server_gets_the_settings(monkeypatch: pytest.MonkeyPatch, served: list[Settings]) -> None:
    monkeypatch.setenv("API_PORT", "8123")
    assert relume(monkeypatch, "serve", "--host", "0.0.0.0", "--dashboard-port", "0") == 0
    (settings,) = served
    assert (settings.api_host, settings.api_port, settings.dashboard_port) == ("0.0.0.0", 8123, 0)


def test_an_option_beats_the_settings(monkeypatch: pytest.MonkeyPatch, served: list[Settings]) -> None:
    monkeypatch.setenv("API_PORT", "8123")
    assert relume(monkeypatch, "serve", "--port", "9000") == 0
    assert served[0].api_port == 9000


def test_settings_are_read_from_the_home_folder(
    monkeypatch: pytest.MonkeyPatch, served: list[Settings], tmp_path: Path
) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "config.env").write_text("API_PORT=8321\n")
    monkeypatch.setenv("RELUME_HOME", str(tmp_path / "home"))
    assert relume(monkeypatch, "serve") == 0
    assert served[0].api_port == 8321
    assert served[0].storage_folder == tmp_path / "home" / "data"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--scale", "3", "a.jpg"), "upscale must be"),
        (("--strength", "1.5", "a.jpg"), "strength must be"),
        (("--model", "magic", "a.jpg"), "There is no model"),
        (("",), "name is empty"),
        ((), "Missing argument"),
    ],
)
def test_wrong_options_are_said_before_anything_is_done(
    arguments: tuple[str, ...],
    sentence: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    assert relume(monkeypatch, "restore", *arguments) == 2
    assert sentence in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_faults_are_logged_beside_the_results(capsys: pytest.CaptureFixture[str]) -> None:
    log_faults(load_settings())
    logger("test").error("broken")
    logger("test").info("chatter")
    told = capsys.readouterr()
    assert told.out == ""
    assert "broken" in told.err
    assert "chatter" not in told.err
