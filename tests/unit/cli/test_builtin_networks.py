"""What `relume doctor` and `relume models list` say of the built-in networks."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from relume.builtin import cards
from relume.cli import main as program
from relume.cli.checkup import service
from relume.cli.checkup.finding import Status
from relume.settings import Settings
from tests.unit.builtin.tiny_nets import all_nets

pytest.importorskip("openvino", reason="no OpenVINO for this platform")


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Tiny networks in the place of those that ship."""
    folder = tmp_path / "models"
    folder.mkdir()
    all_nets(folder)
    monkeypatch.setattr(cards.NetTable.__init__, "__defaults__", (folder,))
    return folder


def test_the_doctor_names_them(shipped: Path) -> None:
    finding = service.networks(Settings(builtin_quality="fast"))
    assert finding.status is Status.OK
    assert finding.details == "upscale2 0, upscale2-fast 0, clean 0; BUILTIN_QUALITY is fast"


def test_the_doctor_warns_of_a_damaged_file(shipped: Path) -> None:
    (shipped / "clean.onnx").write_bytes(b"")
    finding = service.networks(Settings())
    assert finding.status is Status.WARNING
    assert finding.details == "The network clean is damaged; the classical steps are used"


def test_the_list_of_models_shows_them(
    shipped: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RELUME_HOME", raising=False)
    result = CliRunner().invoke(program.app, ["models", "list"], env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    assert "upscale2-fast" in result.output
    assert "built in, 0" in result.output
