"""`relume evaluate`: its figures against known answers, its files, and what it refuses."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from relume.cli.evaluating.figures import likeness, looks
from relume.cli.evaluating.folder import MARKER, ReportFolder
from relume.cli.evaluating.page import html_page
from relume.cli.evaluating.report import Evaluation, PhotoFigures
from relume.cli.evaluating.truth import is_possible
from relume.cli.main import app
from relume.cli.restoring.folder import FolderUnusableError
from relume.imaging.decode import decode
from relume.imaging.photo import Photo
from relume.imaging.resize import resize
from relume.recipes import build
from tests import photos


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RELUME_HOME", str(tmp_path))
    monkeypatch.setenv("PROVIDER", "builtin")
    return tmp_path


def run(*arguments: str) -> tuple[int, dict[str, Any]]:
    ended = CliRunner().invoke(app, ["evaluate", "--json", *arguments])
    return ended.exit_code, json.loads(ended.stdout)


def test_equal_photos_are_equal_and_a_known_error_has_its_known_ratio() -> None:
    pixels = np.full((40, 50, 3), 100, np.uint8)
    assert (likeness(Photo(pixels), Photo(pixels)).psnr_db, likeness(Photo(pixels), Photo(pixels)).ssim) == (
        None,
        1.0,
    )
    off_by_ten = likeness(Photo(pixels), Photo(pixels + np.uint8(10)))
    assert off_by_ten.psnr_db == pytest.approx(20 * np.log10(255 / 10), abs=0.01)


def test_photos_of_other_size_depth_and_colours_can_be_compared() -> None:
    colour = decode(photos.encoded("PNG", 64, 48))
    deep = Photo(colour.pixels.astype(np.uint16) * 257)
    assert likeness(colour, deep).psnr_db is None
    assert likeness(colour, resize(colour, 128, 96)).ssim > 0.95
    assert likeness(colour, decode(photos.encoded("PNG", 64, 48, "L"))).ssim > 0.99


def test_noise_and_blur_are_told_without_a_reference() -> None:
    clean = decode(photos.encoded("PNG", 400, 300))
    noise = np.random.default_rng(1).normal(0, 20, clean.pixels.shape)
    noisy = clean.with_pixels(np.clip(clean.pixels + noise, 0, 255).astype(np.uint8))
    assert looks(noisy).noise_sigma > looks(clean).noise_sigma + 10
    assert looks(resize(clean, 1600, 1200)).blur_sigma > looks(clean).blur_sigma + 0.5


def test_a_folder_is_evaluated_with_a_report_and_pictures(home: Path) -> None:
    inputs = home / "test_inputs"
    inputs.mkdir()
    for name, kind in (("a.jpg", "JPEG"), ("b.png", "PNG")):
        (inputs / name).write_bytes(photos.encoded(kind, 96, 72))
    (inputs / "c.jpg").write_bytes(b"no photo")
    code, report = run("--model", "enlarging/builtin-1")
    assert code == 1, "one photo could not be read"
    a, b, c = report["photos"]
    assert (c["input"], bool(c["error"])) == ("test_inputs/c.jpg", True)
    for photo in (a, b):
        assert (photo["result_width"], photo["result_height"], photo["providers"]) == (192, 144, ["builtin"])
        assert 0.8 < photo["fidelity"] <= 1
        assert photo["to_input"]["psnr_db"] > 25
        test = photo["truth"]
        assert abs(test["restored"]["psnr_db"] - test["lanczos"]["psnr_db"]) < 3, (
            "both enlarge the same photo"
        )
        for name in (photo["result"], photo["picture"]):
            assert photos.opened((home / "test_results" / name).read_bytes())
    assert report["means"]["truth_psnr_db_lanczos"] == pytest.approx(
        (a["truth"]["lanczos"]["psnr_db"] + b["truth"]["lanczos"]["psnr_db"]) / 2, abs=1e-3
    )
    results = home / "test_results"
    assert json.loads((results / "report.json").read_text()) == report
    rows = list(csv.DictReader(io.StringIO((results / "report.csv").read_text("utf-8-sig"))))
    assert [row["input"] for row in rows] == [f"test_inputs/{name}" for name in ("a.jpg", "b.png", "c.jpg")]
    assert float(rows[0]["truth.restored.psnr_db"]) == a["truth"]["restored"]["psnr_db"]
    page = (results / "report.html").read_text()
    assert page.count("data:image/jpeg;base64,") == 2
    assert "http" not in page, "the page needs nothing from anywhere"
    assert photos.opened((results / "contact-sheet-1.jpg").read_bytes()).width > 300


def test_an_evaluation_replaces_its_own_files_alone(home: Path) -> None:
    folder = home / "out"
    first = ReportFolder(folder)
    first.write("report.html", b"1")
    (folder / "mine.txt").write_text("mine")
    ReportFolder(folder).write("other.jpg", b"2")
    assert sorted(path.name for path in folder.iterdir()) == [MARKER, "mine.txt", "other.jpg"]
    (folder / MARKER).write_text('["../outside.txt", "mine.txt/..", ".."]')
    (home / "outside.txt").write_text("safe")
    ReportFolder(folder)
    assert (home / "outside.txt").exists()


def test_a_folder_with_other_files_is_refused(home: Path) -> None:
    (home / "album").mkdir()
    (home / "album" / "report.html").write_text("mine")
    with pytest.raises(FolderUnusableError, match="no evaluation has written"):
        ReportFolder(home / "album")
    assert (home / "album" / "report.html").read_text() == "mine"


def test_nothing_is_paid_for_without_being_allowed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "a.jpg").write_bytes(photos.encoded("JPEG"))
    monkeypatch.setenv("PROVIDER", "auto")
    monkeypatch.setenv("REPLICATE_API_TOKEN", "r8_none")
    monkeypatch.setenv("REPLICATE_BASE_URL", "http://127.0.0.1:9")
    ended = CliRunner().invoke(app, ["evaluate", "a.jpg"])
    assert ended.exit_code == 2
    assert "--allow-paid" in ended.stderr
    assert not (home / "test_results").exists()


@pytest.mark.parametrize("arguments", [["missing.jpg"], []])
def test_what_is_not_there_is_said(home: Path, arguments: list[str]) -> None:
    code, report = run(*arguments)
    assert code == 1
    assert report["photos"][0]["error"] == "there is no such file or folder"


def test_names_are_shown_as_text_in_the_page() -> None:
    evaluation = Evaluation(build("enlarging/builtin-1", scale=2))
    evaluation.photos.append(PhotoFigures("<script>alert(1)</script>.jpg", error="no"))
    assert "<script>" not in html_page(evaluation, {})


def test_a_photo_too_small_to_be_reduced_has_no_known_truth() -> None:
    small = Photo(np.zeros((30, 100, 3), np.uint8))
    assert is_possible(small, 2)
    assert not is_possible(small, 4)
