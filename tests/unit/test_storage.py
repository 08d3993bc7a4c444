"""The promises of `ports.Store`, kept by folders."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from relume.errors import Conflict, NotFound
from relume.storage.local import FolderStore


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore({"a": tmp_path / "deep" / "a", "b": tmp_path / "b"})


async def test_what_is_put_can_be_got_in_every_way(store: FolderStore) -> None:
    data = os.urandom(700_000)
    await store.put("a/x.png", data)
    assert await store.get("a/x.png") == data
    assert await store.size("a/x.png") == len(data)
    assert b"".join([chunk async for chunk in store.stream("a/x.png")]) == data


async def test_nothing_is_ever_overwritten(store: FolderStore) -> None:
    await store.put("a/x", b"first")
    await store.put("a/y", b"other")
    with pytest.raises(Conflict):
        await store.put("a/x", b"second")
    with pytest.raises(Conflict):
        await store.move("a/y", "a/x")
    assert (await store.get("a/x"), await store.get("a/y")) == (b"first", b"other")


async def test_what_is_not_there_is_not_found(store: FolderStore) -> None:
    with pytest.raises(NotFound):
        await store.get("a/x")
    with pytest.raises(NotFound):
        await store.size("a/x")
    with pytest.raises(NotFound):
        await store.move("a/x", "a/y")
    with pytest.raises(NotFound):
        await anext(store.stream("a/x"))
    await store.delete(["a/x"])


async def test_a_move_leaves_nothing_behind_and_stays_in_its_area(store: FolderStore) -> None:
    await store.put("a/staging/x", b"1")
    await store.move("a/staging/x", "a/x")
    assert [found.key async for found in store.list_objects("a/")] == ["a/x"]
    with pytest.raises(ValueError, match="one area"):
        await store.move("a/x", "b/x")


async def test_half_written_files_are_unseen_and_swept_when_old(store: FolderStore, tmp_path: Path) -> None:
    half = tmp_path / "deep" / "a" / "x.png#7"
    half.write_bytes(b"half")
    assert [found async for found in store.list_objects("a/")] == []
    now = datetime.now(UTC)
    assert await store.remove_unfinished(now - timedelta(hours=1)) == 0
    assert await store.remove_unfinished(now + timedelta(hours=1)) == 1
    assert not half.exists()


async def test_a_fault_of_the_disk_is_an_oserror(store: FolderStore, tmp_path: Path) -> None:
    (tmp_path / "b").rmdir()
    (tmp_path / "b").write_text("a file where the folder was")
    with pytest.raises(OSError, match="b"):
        await store.put("b/x", b"1")


async def test_the_check_leaves_no_trace(store: FolderStore) -> None:
    await store.check()
    assert [found async for found in store.list_objects("a/")] == []
