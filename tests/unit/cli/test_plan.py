"""Which photos a run takes."""

from __future__ import annotations

import os
import sys
from pathlib import Path, PurePosixPath

import pytest

from relume.cli.restoring.manifest import MANIFEST_NAME, Entry
from relume.cli.restoring.plan import Plan, make_plan

needs_links = pytest.mark.skipif(sys.platform == "win32", reason="links need rights on Windows")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    for name in ("b.JPG", "a.png", "1950/c.tiff", "1950/summer/d.heic", "notes.txt", "1950/.hidden.jpg"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    return folder


def plan(*paths: Path, output: Path) -> Plan:
    return make_plan([(path, str(path)) for path in paths], output)


def places(found: Plan) -> list[str]:
    return [str(source.place) for source in found.sources]


def write_manifest(folder: Path, *outputs: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    lines = [
        Entry("/x", "x", "0", {}, "1", output, "0", "restored", 1.0, 1.0, []).line() for output in outputs
    ]
    (folder / MANIFEST_NAME).write_bytes(b"".join(lines))


def test_a_folder_is_searched_and_its_structure_kept(photos: Path, tmp_path: Path) -> None:
    found = plan(photos, output=tmp_path / "out")
    assert places(found) == ["a.png", "b.JPG", "1950/c.tiff", "1950/summer/d.heic"]
    assert found.not_photos == 2
    assert found.problems == []


def test_names_are_shown_as_the_user_typed_them(photos: Path, tmp_path: Path) -> None:
    found = make_plan([(photos, "my photos")], tmp_path / "out")
    assert found.sources[2].shown == str(Path("my photos") / "1950" / "c.tiff")


def test_a_named_file_is_taken_whatever_its_ending_and_lies_at_the_top(photos: Path, tmp_path: Path) -> None:
    found = plan(photos / "notes.txt", photos / "1950" / "c.tiff", output=tmp_path / "out")
    assert places(found) == ["notes.txt", "c.tiff"]


def test_a_file_met_twice_is_taken_once(photos: Path, tmp_path: Path) -> None:
    found = plan(photos / "a.png", photos, photos / "1950", output=tmp_path / "out")
    assert places(found) == ["a.png", "b.JPG", "1950/c.tiff", "1950/summer/d.heic"]


def test_what_is_not_there_is_a_problem_and_stops_nothing(photos: Path, tmp_path: Path) -> None:
    found = plan(tmp_path / "gone.jpg", photos, output=tmp_path / "out")
    assert found.problems == [(str(tmp_path / "gone.jpg"), "there is no such file or folder")]
    assert len(found.sources) == 4


def test_an_output_folder_inside_the_input_is_not_searched(photos: Path) -> None:
    output = photos / "restored"
    output.mkdir()
    (output / "a-restored.png").write_bytes(b"x")
    assert "restored/a-restored.png" not in places(plan(photos, output=output))


def test_the_output_folder_of_another_run_is_not_searched(photos: Path, tmp_path: Path) -> None:
    write_manifest(photos / "first try", "a-restored.png")
    (photos / "first try" / "a-restored.png").write_bytes(b"x")
    assert len(plan(photos, output=tmp_path / "out").sources) == 4


def test_results_beside_their_originals_are_no_inputs(photos: Path) -> None:
    write_manifest(photos, "a-restored.png", "1950/c-restored.jpg")
    for name in ("a-restored.png", "1950/c-restored.jpg"):
        (photos / name).write_bytes(b"x")
    found = plan(photos, output=photos)
    assert places(found) == ["a.png", "b.JPG", "1950/c.tiff", "1950/summer/d.heic"]


@needs_links
def test_links_in_circles_end(photos: Path, tmp_path: Path) -> None:
    (photos / "1950" / "back").symlink_to(photos)
    (photos / "itself").symlink_to(photos / "itself")
    assert len(plan(photos, output=tmp_path / "out").sources) == 4


@needs_links
def test_a_linked_folder_is_followed_and_a_dead_link_is_named(photos: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "e.webp").write_bytes(b"x")
    (photos / "linked").symlink_to(elsewhere)
    (photos / "dead.jpg").symlink_to(tmp_path / "gone.jpg")
    found = plan(photos, output=tmp_path / "out")
    assert PurePosixPath("linked/e.webp") in [source.place for source in found.sources]
    assert found.problems == [(str(photos / "dead.jpg"), "this is not a file that can be read")]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no named pipes in folders")
def test_a_pipe_is_never_opened(photos: Path, tmp_path: Path) -> None:
    os.mkfifo(photos / "pipe.jpg")
    found = plan(photos, photos / "pipe.jpg", output=tmp_path / "out")
    assert [reason for _, reason in found.problems] == [
        "this is not a file that can be read",
        "this is neither a file nor a folder",
    ]
