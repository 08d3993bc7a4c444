"""The output folder: nothing overwritten, nothing half written."""

from __future__ import annotations

import errno
import hashlib
import os
import sys
from pathlib import Path, PurePosixPath

import pytest

from relume.cli.restoring.folder import FolderUnusableError, OutputFolder
from relume.cli.restoring.manifest import MANIFEST_NAME, Entry
from relume.cli.restoring.plan import Source

OPTIONS = {"scale": 2}
SOURCE = Source(Path("/photos/a.jpg"), "a.jpg", PurePosixPath("a.jpg"))
RESULT = b"the result"


def entry(output: str = "a-restored.jpg", data: bytes = RESULT) -> Entry:
    sha256 = hashlib.sha256(data).hexdigest()
    return Entry(str(SOURCE.path), "a.jpg", "1", OPTIONS, "0.1", output, sha256, "restored", 0.9, 1.5, [])


def files(folder: Path) -> set[str]:
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    return found - {MANIFEST_NAME}


def test_a_result_is_found_by_the_next_run(tmp_path: Path) -> None:
    with OutputFolder(tmp_path) as folder:
        folder.publish(entry(), RESULT)
    assert (tmp_path / "a-restored.jpg").read_bytes() == RESULT
    with OutputFolder(tmp_path) as folder:
        assert folder.earlier(SOURCE, "1", OPTIONS) == entry()
        assert folder.earlier(SOURCE, "1", OPTIONS) is None, "one result answers for one photo"


@pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: path.write_bytes(b"edited")])
def test_a_result_that_is_gone_or_changed_does_not_count(tmp_path: Path, damage: object) -> None:
    with OutputFolder(tmp_path) as folder:
        folder.publish(entry(), RESULT)
    assert callable(damage)
    damage(tmp_path / "a-restored.jpg")
    with OutputFolder(tmp_path) as folder:
        assert folder.earlier(SOURCE, "1", OPTIONS) is None


def test_names_that_are_taken_are_never_given(tmp_path: Path) -> None:
    (tmp_path / "a-restored.jpg").write_bytes(b"somebody's")
    with OutputFolder(tmp_path) as folder:
        assert str(folder.free_output(PurePosixPath("a.heic"), "jpg")) == "a-restored-2.jpg"
        (tmp_path / "a-restored-2.jpg").write_bytes(b"somebody's")
        assert str(folder.free_output(PurePosixPath("a.heic"), "jpg")) == "a-restored-3.jpg"
        assert str(folder.free_output(PurePosixPath("sub/a.heic"), "jpg")) == "sub/a-restored.jpg"


def test_a_name_taken_at_the_last_moment_is_not_overwritten(tmp_path: Path) -> None:
    with OutputFolder(tmp_path) as folder:
        (tmp_path / "a-restored.jpg").write_bytes(b"somebody's")
        with pytest.raises(FileExistsError):
            folder.publish(entry(), RESULT)
    assert (tmp_path / "a-restored.jpg").read_bytes() == b"somebody's"
    assert files(tmp_path) == {"a-restored.jpg"}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows renames without links")
def test_file_systems_without_links_work_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_paths: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    with OutputFolder(tmp_path) as folder:
        folder.publish(entry(), RESULT)
        with pytest.raises(FileExistsError):
            folder.publish(entry(data=b"other"), b"other")
    assert (tmp_path / "a-restored.jpg").read_bytes() == RESULT


def test_a_very_long_name_still_fits(tmp_path: Path) -> None:
    with OutputFolder(tmp_path) as folder:
        output = folder.free_output(PurePosixPath("ü" * 125 + ".jpg"), "jpg")
        folder.publish(entry(str(output)), RESULT)
    assert output.name.startswith("ü" * 100 + "-restored")


def test_what_a_killed_run_left_is_cleared_and_its_manifest_goes_on(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / ".relume-0a1b2c3d.part").write_bytes(b"half a res")
    (tmp_path / MANIFEST_NAME).write_bytes(entry().line()[:40])
    with OutputFolder(tmp_path) as folder:
        folder.publish(entry(), RESULT)
    assert files(tmp_path) == {"a-restored.jpg"}
    with OutputFolder(tmp_path) as folder:
        assert folder.earlier(SOURCE, "1", OPTIONS) == entry()


def test_a_kill_between_manifest_and_result_is_made_good(tmp_path: Path) -> None:
    (tmp_path / MANIFEST_NAME).write_bytes(entry().line())
    with OutputFolder(tmp_path) as folder:
        assert folder.earlier(SOURCE, "1", OPTIONS) is None
        assert str(folder.free_output(SOURCE.place, "jpg")) == "a-restored.jpg"


def test_one_run_at_a_time(tmp_path: Path) -> None:
    with OutputFolder(tmp_path), pytest.raises(FolderUnusableError, match="Another relume restore"):
        OutputFolder(tmp_path)
    with OutputFolder(tmp_path):
        pass


def test_a_file_in_place_of_the_folder_is_said(tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(b"")
    with pytest.raises(FolderUnusableError, match="cannot be used as the output folder"):
        OutputFolder(tmp_path / "out")


def test_a_full_disk_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with OutputFolder(tmp_path) as folder:

        def full(_file: int) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(FolderUnusableError, match="No space left"):
            folder.publish(entry(), RESULT)
    assert files(tmp_path) == set()
