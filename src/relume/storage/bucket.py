"""Files in a bucket that speaks S3, through obstore. An area is a key prefix."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal
from uuid import uuid4

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    NotFoundError,
)
from obstore.store import S3Store

from relume.errors import Conflict, NotFound
from relume.imaging.photo import ImageFormat
from relume.ports import StoredObject

if TYPE_CHECKING:  # They exist for type checkers alone.
    from obstore import GetResult
    from obstore.store import ClientConfig, RetryConfig

_NO_BUCKET = "there is no such bucket"
_CHUNK_BYTES = 256 * 1024
_WRITE = "relume-write"
"""Object metadata that names the write which made it: a write whose answer was lost knows its own work again."""
_TYPES = {f".{kind.extension}": kind.media_type for kind in ImageFormat}
_ANY_TYPE = "application/octet-stream"
_CLIENT: ClientConfig = {
    "connect_timeout": timedelta(seconds=5),
    "read_timeout": timedelta(seconds=60),  # Without a single byte.
    "timeout": timedelta(minutes=10),  # For a whole object: 200 MB at 3 Mbit/s.
}
_RETRIES: RetryConfig = {"max_retries": 3, "retry_timeout": timedelta(seconds=60)}


@dataclass(frozen=True, slots=True)
class BucketAccess:
    """How to reach a bucket. Without a key, obstore asks the machine for its role, as AWS has it."""

    region: str
    endpoint_url: str | None = None
    """None for AWS itself. Requests are path-style: `endpoint/bucket/key`."""
    key_id: str | None = None
    secret_key: str | None = None
    session_token: str | None = None


class BucketStore:
    """Keeps the promises of `ports.Store` in a bucket, for any number of processes and machines.

    Every object is written by one conditional PUT (`If-None-Match: *`), whatever its size: it appears whole,
    never in place of another, and a killed process leaves nothing unfinished. S3 has no rename: a move writes the
    object under its new name and then deletes the old one. The server has to know conditional writes, as
    AWS, MinIO and Cloudflare R2 do; `check` finds out.
    """

    def __init__(self, bucket: str, areas: dict[str, str], access: BucketAccess) -> None:
        """`areas`: the key prefix of each."""
        self._areas = {area: _connect(bucket, prefix, access) for area, prefix in areas.items()}

    async def put(self, key: str, data: bytes) -> None:
        store, path = self._locate(key)
        write = uuid4().hex
        attributes = {"Content-Type": _media_type(path), _WRITE: write}
        try:
            with _translated(key):
                await obstore.put_async(store, path, data, mode="create", attributes=attributes)
        except Conflict:
            if await self._written_by(key) != write:
                raise

    async def _written_by(self, key: str) -> str | None:
        store, path = self._locate(key)
        with _translated(key):
            found = await obstore.get_async(store, path, options={"head": True})
        return found.attributes.get(_WRITE)

    async def get(self, key: str) -> bytes:
        found = await self._open(key)
        with _translated(key):
            return bytes(await found.bytes_async())

    async def size(self, key: str) -> int:
        store, path = self._locate(key)
        with _translated(key):
            return int((await obstore.head_async(store, path))["size"])

    async def stream(self, key: str) -> AsyncIterator[bytes]:
        found = await self._open(key)
        with _translated(key):
            async for chunk in found.stream(min_chunk_size=_CHUNK_BYTES):
                yield bytes(chunk)

    async def move(self, source: str, target: str) -> None:
        if source.partition("/")[0] != target.partition("/")[0]:
            raise ValueError("a move stays within one area")
        await self.put(target, await self.get(source))
        await self.delete([source])

    async def delete(self, keys: Sequence[str]) -> None:
        paths: defaultdict[str, list[str]] = defaultdict(list)
        for key in keys:
            area, _, path = key.partition("/")
            paths[area].append(path)
        for area, below in paths.items():
            with _translated(area):
                await obstore.delete_async(self._areas[area], below)

    async def list_objects(self, prefix: str) -> AsyncIterator[StoredObject]:
        area, _, below = prefix.partition("/")
        with _translated(prefix):
            async for page in obstore.list(self._areas[area], prefix=below or None):
                for found in page:
                    modified_at = found["last_modified"].astimezone(UTC)
                    yield StoredObject(f"{area}/{found['path']}", found["size"], modified_at)

    async def remove_unfinished(self, before: datetime) -> int:
        """Nothing to do: an object is one request, and a request that breaks off leaves nothing."""
        del before
        return 0

    async def presigned(self, key: str, expires: timedelta, method: Literal["GET", "HEAD"]) -> str | None:
        store, path = self._locate(key)
        with _translated(key):
            return await obstore.sign_async(store, method, path, expires)

    async def check(self) -> None:
        for area in self._areas:
            key = f"{area}/.check-{uuid4()}"
            try:
                await self.put(key, b"relume")
                await self._prove_that_nothing_is_overwritten(key)
                _ = [found async for found in self.list_objects(f"{area}/.check")]  # May it list?
            except NotFound as error:
                raise OSError("the bucket does not give back what was just written to it") from error
            await self.delete([key])

    async def _prove_that_nothing_is_overwritten(self, key: str) -> None:
        try:
            await self.put(key, b"again")
        except Conflict:
            if await self.get(key) == b"relume":
                return
        raise OSError("the server of the bucket overwrites objects: it does not know 'If-None-Match: *'")

    async def _open(self, key: str) -> GetResult:
        store, path = self._locate(key)
        with _translated(key):
            return await obstore.get_async(store, path)

    def _locate(self, key: str) -> tuple[S3Store, str]:
        area, _, path = key.partition("/")
        return self._areas[area], path


def _connect(bucket: str, prefix: str, access: BucketAccess) -> S3Store:
    named = {
        "endpoint": access.endpoint_url,
        "access_key_id": access.key_id,
        "secret_access_key": access.secret_key,
        "session_token": access.session_token,
    }
    given = {name: value for name, value in named.items() if value is not None}
    client: ClientConfig = {**_CLIENT, "allow_http": (access.endpoint_url or "").startswith("http://")}
    return S3Store(
        bucket,
        prefix=prefix,
        region=access.region,
        client_options=client,
        retry_config=_RETRIES,
        virtual_hosted_style_request=False,
        **given,  # type: ignore[arg-type]
    )


def _media_type(path: str) -> str:
    """A presigned link is answered by the bucket: the type has to lie there with the object."""
    _, dot, extension = path.rpartition(".")
    return _TYPES.get(dot + extension, _ANY_TYPE)


@contextmanager
def _translated(key: str) -> Iterator[None]:
    """Obstore's errors as ours.

    Its text holds the server's whole answer, in which S3 may repeat a session token: only the code of the
    error is passed on, and the exception itself is not chained.
    """
    try:
        yield
    except AlreadyExistsError:
        raise Conflict("A file with this name exists already.", key=key) from None
    except (NotFoundError, FileNotFoundError) as error:
        if _code(error) == "NoSuchBucket":
            raise OSError(_NO_BUCKET) from None
        raise NotFound("There is no such file.", key=key) from None
    except BaseError as error:
        raise OSError(_sentence(error)) from None


def _sentence(error: BaseError) -> str:
    text, code = str(error), _code(error)
    found = re.search(r"status code: (\d{3})", text)
    status = found[1] if found else None
    named = f" ({code})" if code else ""
    if code == "NoSuchBucket":
        return _NO_BUCKET
    if re.search(r"/latest/(api/token|meta-data)", text):
        return "there are no credentials: AWS_ACCESS_KEY_ID is not set, and this machine has no role"
    if status in ("401", "403"):
        return f"the bucket refuses these credentials{named}"
    if "configured region" in text:
        return "the bucket is in another region: look at AWS_REGION"
    if status:
        return f"the server of the bucket answers {status}{named}"
    return "the server of the bucket cannot be reached"


def _code(error: Exception) -> str | None:
    found = re.search(r"<Code>(\w+)</Code>", str(error))
    return found[1] if found else None
