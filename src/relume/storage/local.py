"""Files in folders of this machine, through obstore. An area is one folder."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal
from uuid import uuid4

import anyio
import anyio.to_thread
import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, NotFoundError
from obstore.store import LocalStore

from relume.errors import Conflict, NotFound
from relume.ports import StoredObject

_CHUNK_BYTES = 256 * 1024
_UNFINISHED = "*#[0-9]*"
"""How obstore names a file that is still being written; it leaves such files out of its listings."""


class FolderStore:
    """Keeps the promises of `ports.Store` on a local file system.

    A key's first part names the area: `uploads/x.jpg` lies in the folder of `uploads`. Writes go to a
    temporary name and are renamed, so that a reader never sees half a file. A move stays within one area and
    is a rename. Suitable for several processes of one machine, not for several machines.
    """

    def __init__(self, areas: dict[str, Path]) -> None:
        self._folders = areas
        self._areas = {area: LocalStore(folder, mkdir=True) for area, folder in areas.items()}

    async def put(self, key: str, data: bytes) -> None:
        await anyio.to_thread.run_sync(self._put, key, data)

    def _put(self, key: str, data: bytes) -> None:
        """Written and brought to the disk in one thread: changing threads costs more than either."""
        store, path = self._locate(key)
        with _translated(key):
            obstore.put(store, path, data, mode="create")
        _flush(self._folders[key.partition("/")[0]] / path)

    async def get(self, key: str) -> bytes:
        store, path = self._locate(key)
        with _translated(key):
            result = await obstore.get_async(store, path)
            return bytes(await result.bytes_async())

    async def size(self, key: str) -> int:
        store, path = self._locate(key)
        with _translated(key):
            return int((await obstore.head_async(store, path))["size"])

    async def stream(self, key: str) -> AsyncIterator[bytes]:
        store, path = self._locate(key)
        with _translated(key):
            result = await obstore.get_async(store, path)
        async for chunk in result.stream(min_chunk_size=_CHUNK_BYTES):
            yield bytes(chunk)

    async def move(self, source: str, target: str) -> None:
        store, path = self._locate(source)
        target_store, target_path = self._locate(target)
        if store is not target_store:
            raise ValueError("a move stays within one area")
        with _translated(source):
            await obstore.rename_async(store, path, target_path, overwrite=False)

    async def delete(self, keys: Sequence[str]) -> None:
        for key in keys:
            store, path = self._locate(key)
            try:
                with _translated(key):
                    await obstore.delete_async(store, path)
            except NotFound:
                continue

    async def list_objects(self, prefix: str) -> AsyncIterator[StoredObject]:
        area, _, below = prefix.partition("/")
        async for page in obstore.list(self._areas[area], prefix=below or None):
            for found in page:
                modified_at = found["last_modified"].astimezone(UTC)
                yield StoredObject(f"{area}/{found['path']}", found["size"], modified_at)

    async def remove_unfinished(self, before: datetime) -> int:
        return await anyio.to_thread.run_sync(self._remove_unfinished, before.timestamp())

    def _remove_unfinished(self, before: float) -> int:
        removed = 0
        for folder in self._folders.values():
            for path in folder.rglob(_UNFINISHED):
                with suppress(OSError):
                    if path.stat().st_mtime < before:
                        path.unlink()
                        removed += 1
        return removed

    async def presigned(self, key: str, expires: timedelta, method: Literal["GET", "HEAD"]) -> str | None:
        del key, expires, method
        return None

    async def check(self) -> None:
        for area in self._areas:
            key = f"{area}/.check-{uuid4()}"
            await self.put(key, b"relume")
            await self.delete([key])

    def _locate(self, key: str) -> tuple[LocalStore, str]:
        area, _, path = key.partition("/")
        return self._areas[area], path


def _flush(path: Path) -> None:
    """Bring a file and its name to the disk: an accepted photo survives a power cut, as its row does."""
    for place, flags in ((path, os.O_RDWR), (path.parent, os.O_RDONLY)):
        if place.is_dir() and os.name != "posix":
            continue  # Windows opens no folders; its journal keeps the name.
        handle = os.open(place, flags)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def _translated(key: str) -> Iterator[None]:
    """Obstore's errors as ours; the key stays out of the user's sentence."""
    try:
        yield
    except (NotFoundError, FileNotFoundError) as error:
        raise NotFound("There is no such file.", key=key) from error
    except AlreadyExistsError as error:
        raise Conflict("A file with this name exists already.", key=key) from error
    except BaseError as error:
        raise OSError(str(error)) from error
