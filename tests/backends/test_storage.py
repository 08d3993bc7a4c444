"""The promises of `ports.Store`, kept by folders and by a bucket."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from relume.errors import Conflict, NotFound
from relume.ports import Store
from relume.storage.bucket import BucketAccess, BucketStore
from relume.storage.local import FolderStore
from tests.buckets import KEY_ID, REGION, SECRET_KEY, Bucket, Fault

REFUSED = b"<Error><Code>SignatureDoesNotMatch</Code><Message>no</Message></Error>"
ECHO = b"<Error><Code>InvalidToken</Code><Token-0>s3cr3t-session</Token-0></Error>"


@pytest.fixture
def folder(tmp_path: Path) -> FolderStore:
    return FolderStore({"a": tmp_path / "deep" / "a", "b": tmp_path / "b"})


@pytest.fixture
def in_bucket(bucket: Bucket) -> BucketStore:
    return bucket.store({"a": "deep/a", "b": "b"})


@pytest.fixture(params=["folder", "in_bucket"])
def store(request: pytest.FixtureRequest) -> Store:
    chosen: Store = request.getfixturevalue(request.param)
    return chosen


async def keys(store: Store, prefix: str) -> list[str]:
    return sorted([found.key async for found in store.list_objects(prefix)])


# Every store


@pytest.mark.parametrize("size_bytes", [0, 1, 700_000, 12_000_000])
async def test_what_is_put_can_be_got_in_every_way(store: Store, size_bytes: int) -> None:
    data = os.urandom(size_bytes)
    await store.put("a/x.png", data)
    assert await store.get("a/x.png") == data
    assert await store.size("a/x.png") == len(data)
    chunks = [chunk async for chunk in store.stream("a/x.png")]
    assert b"".join(chunks) == data
    assert len(chunks) > 1 or size_bytes < 700_000, "a large object comes in chunks"


async def test_nothing_is_ever_overwritten(store: Store) -> None:
    await store.put("a/x", b"first")
    await store.put("a/y", b"other")
    with pytest.raises(Conflict):
        await store.put("a/x", b"second")
    with pytest.raises(Conflict):
        await store.put("a/x", b"first")
    with pytest.raises(Conflict):
        await store.move("a/y", "a/x")
    assert (await store.get("a/x"), await store.get("a/y")) == (b"first", b"other")


async def test_of_many_who_write_at_once_one_wins(store: Store) -> None:
    writes = [store.put("a/x", bytes([number])) for number in range(8)]
    ends = await asyncio.gather(*writes, return_exceptions=True)
    assert [type(end) for end in ends if end is not None] == [Conflict] * 7
    assert await store.get("a/x") == bytes([ends.index(None)])


async def test_what_is_not_there_is_not_found(store: Store) -> None:
    with pytest.raises(NotFound):
        await store.get("a/x")
    with pytest.raises(NotFound):
        await store.size("a/x")
    with pytest.raises(NotFound):
        await store.move("a/x", "a/y")
    with pytest.raises(NotFound):
        await anext(store.stream("a/x"))
    await store.delete(["a/x"])


async def test_a_move_leaves_nothing_behind_and_stays_in_its_area(store: Store) -> None:
    await store.put("a/staging/x", b"1")
    await store.move("a/staging/x", "a/x")
    assert await keys(store, "a/") == ["a/x"]
    with pytest.raises(NotFound):
        await store.move("a/staging/x", "a/x")
    with pytest.raises(ValueError, match="one area"):
        await store.move("a/x", "b/x")


async def test_listings_tell_size_and_age_and_keep_to_their_prefix(store: Store) -> None:
    await store.put("a/staging/x", b"123")
    await store.put("a/y", b"1")
    await store.put("b/z", b"1")
    (found,) = [found async for found in store.list_objects("a/staging")]
    assert (found.key, found.size_bytes) == ("a/staging/x", 3)
    assert abs(datetime.now(UTC) - found.modified_at) < timedelta(minutes=5)
    assert (await keys(store, "a/"), await keys(store, "b/")) == (["a/staging/x", "a/y"], ["b/z"])


async def test_many_are_deleted_at_once_and_nothing_else(store: Store) -> None:
    for name in ("a/1", "a/2", "a/keep", "b/1"):
        await store.put(name, b"1")
    await store.delete(["a/1", "a/gone", "a/2", "b/1"])
    await store.delete([])
    assert await keys(store, "a/") + await keys(store, "b/") == ["a/keep"]


async def test_the_check_leaves_no_trace(store: Store) -> None:
    await store.check()
    assert await keys(store, "a/") + await keys(store, "b/") == []


# Folders


async def test_half_written_files_are_unseen_and_swept_when_old(folder: FolderStore, tmp_path: Path) -> None:
    half = tmp_path / "deep" / "a" / "x.png#7"
    half.write_bytes(b"half")
    assert await keys(folder, "a/") == []
    now = datetime.now(UTC)
    assert await folder.remove_unfinished(now - timedelta(hours=1)) == 0
    assert await folder.remove_unfinished(now + timedelta(hours=1)) == 1
    assert not half.exists()


async def test_a_fault_of_the_disk_is_an_oserror(folder: FolderStore, tmp_path: Path) -> None:
    (tmp_path / "b").rmdir()
    (tmp_path / "b").write_text("a file where the folder was")
    with pytest.raises(OSError, match="b"):
        await folder.put("b/x", b"1")


async def test_no_link_leads_into_a_folder(folder: FolderStore) -> None:
    assert await folder.presigned("a/x", timedelta(minutes=1), "GET") is None


# Buckets


async def test_areas_are_prefixes_and_types_lie_with_the_objects(
    in_bucket: BucketStore, bucket: Bucket
) -> None:
    await in_bucket.put("a/staging/x.jpg", b"1")
    await in_bucket.move("a/staging/x.jpg", "a/x.jpg")
    await in_bucket.put("b/x.unknown", b"1")
    objects = bucket.keys()
    assert objects == ["b/x.unknown", "deep/a/x.jpg"]
    types = [bucket.client.head_object(Bucket=bucket.name, Key=key)["ContentType"] for key in objects]
    assert types == ["application/octet-stream", "image/jpeg"]


async def test_an_object_of_any_size_is_one_request_that_leaves_nothing_unfinished(
    in_bucket: BucketStore, bucket: Bucket
) -> None:
    await in_bucket.put("a/x.png", bytes(12_000_000))
    assert bucket.server.requests[1:] == [f"PUT /{bucket.name}/deep/a/x.png"], "after the bucket was made"
    assert "Uploads" not in bucket.client.list_multipart_uploads(Bucket=bucket.name)
    assert await in_bucket.remove_unfinished(datetime.now(UTC)) == 0


async def test_a_write_whose_answer_was_lost_knows_its_own_work(
    in_bucket: BucketStore, bucket: Bucket
) -> None:
    bucket.server.faults.append(Fault("PUT", "500 Internal Server Error", times=1, carried_out=True))
    await in_bucket.put("a/x", b"1")
    assert await in_bucket.get("a/x") == b"1"
    with pytest.raises(Conflict):
        await in_bucket.put("a/x", b"1")


async def test_a_passing_fault_is_tried_again(in_bucket: BucketStore, bucket: Bucket) -> None:
    bucket.server.faults.append(Fault("PUT", "503 Slow Down", times=2))
    await in_bucket.put("a/x", b"1")
    bucket.server.faults.append(Fault("GET", "503 Slow Down", times=2))
    assert await in_bucket.get("a/x") == b"1"


async def every_operation(store: BucketStore) -> list[str]:
    """What each says when it fails; `size` is left out, its answer has no body to tell by."""

    async def drain(key: str) -> None:
        async for _ in store.stream(key):
            pass

    attempts: list[Callable[[], object]] = [
        lambda: store.put("a/x", b"1"),
        lambda: store.get("a/x"),
        lambda: drain("a/x"),
        lambda: store.move("a/x", "a/y"),
        lambda: store.delete(["a/x"]),
        lambda: keys(store, "a/"),
        store.check,
    ]
    said = []
    for attempt in attempts:
        with pytest.raises(OSError) as caught:  # noqa: PT011 (the callers look at the words)
            await attempt()  # type: ignore[misc]
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__
        said.append(str(caught.value))
    return said


async def test_a_missing_bucket_is_told(bucket: Bucket) -> None:
    said = await every_operation(bucket.store({"a": "a"}, name="no-such-bucket"))
    assert set(said) == {"there is no such bucket"}


@pytest.mark.parametrize("status", ["403 Forbidden", "401 Unauthorized"])
async def test_refused_credentials_are_told(in_bucket: BucketStore, bucket: Bucket, status: str) -> None:
    bucket.server.faults += [Fault(method, status, REFUSED) for method in ("GET", "PUT", "POST", "HEAD")]
    said = await every_operation(in_bucket)
    assert set(said) == {"the bucket refuses these credentials (SignatureDoesNotMatch)"}


async def test_a_server_that_fails_is_told(in_bucket: BucketStore, bucket: Bucket) -> None:
    bucket.server.faults.append(Fault("GET", "503 Slow Down", b"<Error><Code>SlowDown</Code></Error>"))
    with pytest.raises(OSError, match=r"^the server of the bucket answers 503 \(SlowDown\)$"):
        await in_bucket.get("a/x")


async def test_a_server_that_is_away_is_told() -> None:
    access = BucketAccess(REGION, "http://127.0.0.1:1", KEY_ID, SECRET_KEY)
    with pytest.raises(OSError, match="the server of the bucket cannot be reached"):
        await BucketStore("photos", {"a": "a"}, access).check()


async def test_a_bucket_elsewhere_is_told(in_bucket: BucketStore, bucket: Bucket) -> None:
    bucket.server.faults.append(Fault("GET", "301 Moved Permanently"))
    with pytest.raises(OSError, match="AWS_REGION"):
        await in_bucket.get("a/x")


async def test_what_the_server_says_is_not_passed_on(in_bucket: BucketStore, bucket: Bucket) -> None:
    """S3 repeats a session token in the answer that refuses it."""
    bucket.server.faults += [Fault(method, "400 Bad Request", ECHO) for method in ("GET", "PUT", "POST")]
    said = await every_operation(in_bucket)
    assert set(said) == {"the server of the bucket answers 400 (InvalidToken)"}


async def test_a_server_that_overwrites_is_found_out(
    in_bucket: BucketStore, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = bucket.server._answer

    def overwrites(environ: dict[str, object], start: Callable[..., object]) -> object:
        environ.pop("HTTP_IF_NONE_MATCH", None)
        return answer(environ, start)

    monkeypatch.setattr(bucket.server._server, "app", overwrites)
    with pytest.raises(OSError, match="If-None-Match"):
        await in_bucket.check()
