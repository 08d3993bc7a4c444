"""`relume` as a process of its own: real photos, real kills, no server."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import pytest
from skimage import data

import relume
from relume.cli.restoring.manifest import MANIFEST_NAME

SOURCE = Path(relume.__file__).parents[1]
"""The processes run in folders of their own, and still have to be this checkout's."""
PATIENCE_SECONDS = 60.0


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    (folder / "1950").mkdir(parents=True)
    cat = data.chelsea()[::3, ::3, ::-1]  # type: ignore[no-untyped-call]
    coffee = data.coffee()[::4, ::4, ::-1]  # type: ignore[no-untyped-call]
    for name, pixels in (("cat.jpg", cat), ("1950/cat.png", cat), ("1950/coffee.webp", coffee)):
        assert cv2.imwrite(str(folder / name), pixels)
    return folder


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "relume", *(str(argument) for argument in arguments)]


def environment(**variables: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name != "RELUME_HOME"}
    return kept | {"PYTHONPATH": str(SOURCE)} | variables


def restore(folder: Path, *arguments: object, **variables: str) -> tuple[int, dict[str, Any]]:
    """Run `relume restore` on photos/ in that folder. Its exit code and JSON summary."""
    ended = subprocess.run(
        command("restore", "photos", "--json", *arguments),
        cwd=folder,
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    assert "Traceback" not in ended.stderr
    return ended.returncode, json.loads(ended.stdout)


def start_slowly(folder: Path, *arguments: object) -> subprocess.Popen[str]:
    """The same with the provider that takes a second or two for each photo."""
    return subprocess.Popen(
        command("restore", "photos", "--json", *arguments),
        cwd=folder,
        env=environment(PROVIDER="generic"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def sha256s(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and path.name != MANIFEST_NAME
    }


def published(folder: Path) -> dict[str, str]:
    """Results in their final place; one that is still being written has another name."""
    return {name: sha256 for name, sha256 in sha256s(folder).items() if not name.endswith(".part")}


def test_a_folder_with_good_and_bad_files(photos: Path) -> None:
    (photos / "notes.txt").write_text("not a photo")
    (photos / "broken.png").write_bytes((photos / "1950" / "cat.png").read_bytes()[:2000])
    before = sha256s(photos)
    code, summary = restore(photos.parent, "--scale", "2")
    assert code == 1
    assert summary["counts"]["failed"] == summary["counts"]["not_photos"] == 1
    assert sha256s(photos) == before
    output = photos.parent / "restored"
    assert set(sha256s(output)) == {
        "cat-restored.jpg",
        "1950/cat-restored.png",
        "1950/coffee-restored.png",
    }
    for name in ("cat-restored.jpg", "1950/cat-restored.png"):
        result = cv2.imread(str(output / name))
        assert result is not None
        assert result.shape == (200, 302, 3)


def test_the_same_command_again_does_nothing_and_other_options_overwrite_nothing(photos: Path) -> None:
    restore(photos.parent)
    before = sha256s(photos.parent / "restored")
    code, summary = restore(photos.parent)
    assert (code, summary["counts"]["skipped"]) == (0, 3)
    code, summary = restore(photos.parent, "--strength", "0.3")
    assert summary["counts"]["skipped"] == 0
    after = sha256s(photos.parent / "restored")
    assert after.items() > before.items()
    assert "cat-restored-2.jpg" in after


def test_a_kill_in_the_middle_loses_at_most_one_photo(photos: Path) -> None:
    originals, output = sha256s(photos), photos.parent / "restored"
    with start_slowly(photos.parent) as process:
        wait_until(lambda: bool(output.is_dir() and published(output)))
        process.kill()
        process.communicate()
    done = published(output)
    assert 0 < len(done) < 3
    code, summary = restore(photos.parent)
    assert code == 0
    assert summary["counts"]["skipped"] == len(done)
    after = sha256s(output)
    assert len(after) == 3
    assert after.items() >= done.items()
    assert sha256s(photos) == originals


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C cannot be sent to one process on Windows")
def test_ctrl_c_ends_with_a_summary(photos: Path) -> None:
    output = photos.parent / "restored"
    with start_slowly(photos.parent) as process:
        wait_until(lambda: bool(output.is_dir() and sha256s(output)))
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 130
    assert "Traceback" not in stderr
    summary = json.loads(stdout)
    assert summary["interrupted"]
    assert summary["counts"]["not_started"] >= 1
    assert not [name for name in sha256s(output) if name.endswith(".part")]


def test_people_read_a_table(photos: Path) -> None:
    ended = subprocess.run(
        command("restore", photos / "cat.jpg", "-o", "out"),
        cwd=photos.parent,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    assert ended.returncode == 0, ended.stderr
    assert "1  restored" in ended.stdout
    assert "cat.jpg: " in ended.stdout
    assert (photos.parent / "out" / "cat-restored.jpg").is_file()


def test_equal_names_from_two_folders_get_names_of_their_own(photos: Path) -> None:
    (photos.parent / "more").mkdir()
    (photos.parent / "more" / "cat.jpg").write_bytes((photos / "cat.jpg").read_bytes())
    code, summary = restore(photos.parent, "more")
    assert code == 0
    outputs = [photo["output"] for photo in summary["photos"]]
    assert len(set(outputs)) == 4
    _, again = restore(photos.parent, "more")
    assert again["counts"]["skipped"] == 4
    assert [photo["output"] for photo in again["photos"]] == outputs
