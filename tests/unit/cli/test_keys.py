"""`relume keys`, as a person uses it."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from relume.cli.main import app


@pytest.fixture(autouse=True)
def own_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RELUME_HOME", raising=False)
    monkeypatch.setenv("STORAGE_DIR", str(tmp_path / "data"))


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["keys", *arguments])
    return result.exit_code, result.output


def test_a_key_is_made_listed_and_revoked() -> None:
    code, key = run("create", "archive")
    assert (code, key[:4]) == (0, "rlm_")
    assert run("create", "boss", "--operator")[0] == 0
    _, listing = run("list")
    assert [line.split()[0] for line in listing.splitlines()[1:]] == ["archive", "boss"]
    assert "its own jobs" in listing
    assert "all jobs" in listing
    assert key.strip() not in listing
    assert run("revoke", "archive")[0] == 0
    assert "revoked" in run("list")[1]


@pytest.mark.parametrize("arguments", [("create", "archive"), ("revoke", "nobody"), ("create", " ")])
def test_what_cannot_be_done_is_said_in_a_sentence(arguments: tuple[str, ...]) -> None:
    run("create", "archive")
    code, output = run(*arguments)
    assert code == 2
    assert "Traceback" not in output
    assert "name" in output
