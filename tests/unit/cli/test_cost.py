"""`relume cost`: sizes that are true, seconds that are measured, prices for nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from relume.cli.costing import images, measure
from relume.cli.costing.hardware import Machine, hardware_prices
from relume.cli.costing.images import SIZE_CLASSES, SizeClass, make_image
from relume.cli.costing.report import price_of
from relume.cli.main import app
from tests import photos

SMALL = (SizeClass("6 KB", 6_000, 120, 90),)
T4 = Machine(processor="CPU", cores=4, gpu="Tesla T4")


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RELUME_HOME", str(tmp_path))
    monkeypatch.setattr(measure, "SIZE_CLASSES", SMALL)


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["cost", *arguments])


def report(*arguments: str) -> dict[str, Any]:
    ended = run("--json", "--model", "enlarging/builtin-1", "--runs", "2", *arguments)
    assert ended.exit_code == 0, ended.stderr
    told: dict[str, Any] = json.loads(ended.stdout)
    return told


@pytest.mark.parametrize("size", SIZE_CLASSES, ids=lambda size: size.name)
def test_images_have_the_size_of_their_class_and_are_the_same_each_time(size: SizeClass) -> None:
    data = make_image(size)
    assert abs(len(data) - size.target_bytes) <= size.target_bytes * images._TOLERANCE
    assert photos.opened(data).size == (size.width, size.height)
    assert make_image(size) == data


def test_what_runs_here_is_measured_and_what_costs_money_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPLICATE_API_TOKEN", "r8_none")
    ended = run("--json", "--runs", "2")
    assert ended.exit_code == 0, ended.stderr
    (row,) = json.loads(ended.stdout)["measurements"]
    assert (row["provider"], row["runs"], row["size_class"]) == ("builtin", 2, "6 KB")
    assert 0 < row["seconds_min"] <= row["seconds"] <= row["seconds_max"]
    assert "replicate: it sends photos out" in ended.stderr


def test_a_machine_without_a_price_has_seconds_and_no_dollars() -> None:
    told = report()
    assert told["price"] is None
    assert (told["measurements"][0]["cost_usd"], told["measurements"][0]["images_per_usd"]) == (None, None)


def test_the_price_of_an_hour_is_put_on_the_seconds_measured() -> None:
    told = report("--usd-per-hour", "3.6")
    (row,) = told["measurements"]
    assert row["cost_usd"] == pytest.approx(row["seconds"] * 0.001)
    assert row["images_per_usd"] == pytest.approx(1 / row["cost_usd"], rel=0.01)


def test_seconds_of_this_machine_are_never_passed_off_as_those_of_a_gpu(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("relume.cli.costing.run.this_machine", lambda: Machine(processor="CPU", cores=2))
    ended = run("--gpu", "t4")
    assert ended.exit_code == 2
    assert "this machine has no t4" in ended.stderr
    assert ended.stdout == ""


def test_a_report_from_another_machine_is_reckoned_with_its_price(tmp_path: Path) -> None:
    told = report()
    told["machine"] = T4.model_dump()
    told["measurements"][0]["seconds"] = 2.5
    file = tmp_path / "t4.json"
    file.write_text(json.dumps(told))
    again = json.loads(run("--json", "--gpu", "t4", "--measured", str(file)).stdout)
    (row,) = again["measurements"]
    assert row["cost_usd"] == pytest.approx(2.5 * 0.00018)
    assert row["images_per_usd"] == pytest.approx(2222.2)
    refused = run("--gpu", "a10g", "--measured", str(file))
    assert refused.exit_code == 2
    assert "not measured on a a10g but on Tesla T4" in refused.stderr.replace("\n", " ")


@pytest.mark.parametrize("content", ["", "[]", "{}", "no JSON"])
def test_a_file_that_is_no_report_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "x.json").write_text(content)
    ended = run("--measured", "x.json")
    assert (ended.exit_code, "is no report" in ended.stderr) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--provider", "mock"], "mock is a dummy"),
        (["--provider", "nobody"], "There is no provider nobody"),
        (["--provider", "replicate"], "REPLICATE_API_TOKEN is not set"),
        (["--gpu", "h900"], "there is no price for h900"),
        (["--measured", "missing.json"], "cannot be read"),
    ],
)
def test_what_cannot_be_told_is_said(arguments: list[str], sentence: str) -> None:
    ended = run(*arguments)
    assert ended.exit_code == 2
    assert sentence in ended.stderr


def test_the_table_has_the_prices_of_the_contract() -> None:
    assert hardware_prices().usd_per_second == {"t4": 0.00018, "a10g": 0.0003}
    assert T4.is_a("t4")
    assert not Machine(processor="", cores=1, gpu="NVIDIA T400").is_a("t4")
    price = price_of(Machine(processor="", cores=1, gpu="NVIDIA A10G"), None)
    assert price is not None
    assert price.usd_per_second == 0.0003


def test_the_table_for_people_has_a_line_an_image() -> None:
    ended = run("--model", "enlarging/builtin-1", "--runs", "1", "--usd-per-hour", "1")
    assert ended.exit_code == 0
    assert "6 KB, 120x90" in ended.stdout
    assert "images a $" in ended.stdout
