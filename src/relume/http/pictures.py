"""Originals and results as a page shows them: smaller where asked, and in a format that browsers know."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Annotated, Any

import anyio
import anyio.to_thread
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse

from relume.errors import Conflict, Expired, InvalidParameter, NotFound
from relume.http.files import ONE_HOUR, TEXT, THUMBNAIL_SIZE, extension_of
from relume.http.ids import job_id_of
from relume.http.problems import documented
from relume.imaging.limits import MEGABYTE
from relume.imaging.photo import ImageFormat
from relume.imaging.thumbnail import SHOWN_BY_BROWSERS, Picture, held_bytes, snapped, thumbnail
from relume.jobs.models import Job
from relume.jobs.originals import original_key
from relume.jobs.service import JobService
from relume.ports import CODECS, Store
from relume.room import Room

SMALLEST, LARGEST = 64, 4096
_MEMORY_BYTES = 512 * MEGABYTE
"""What pictures being scaled may hold together. They do not wait for the jobs, which hold theirs for minutes."""
_SHOWN: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/jpeg": {}, "image/png": {}, "image/webp": {}}}
}

Size = Annotated[
    int, Query(ge=SMALLEST, le=LARGEST, description="Pixels of the longest side, rounded up to one of a few")
]


class Scaler:
    """Makes photos smaller in worker threads, few at a time and within a bound of memory."""

    def __init__(self) -> None:
        self._codecs = anyio.CapacityLimiter(CODECS)
        self._room = Room(_MEMORY_BYTES)

    async def scaled(
        self, read: Callable[[], Awaitable[bytes]], bytes_held: int, longest: int | None
    ) -> Picture:
        """`bytes_held`: the file and its pixels. The file is read when there is room for both."""
        async with self._room.hold(bytes_held):
            data = await read()
            return await anyio.to_thread.run_sync(partial(thumbnail, data, longest), limiter=self._codecs)


def router(jobs: JobService, store: Store) -> APIRouter:
    routes = APIRouter(tags=["results"])
    scaler = Scaler()

    @routes.head("/results/{name}/original", include_in_schema=False)
    @routes.get(
        "/results/{name}/original",
        summary="The photo a result was made of",
        response_class=Response,
        responses=documented(InvalidParameter, NotFound, Conflict, Expired) | _SHOWN,
    )
    async def original(name: str, request: Request, size: Size | None = None) -> Response:
        """As it came, where browsers can show its format, else as a JPEG; with `size` a smaller JPEG, upright.

        A photo with transparent parts becomes a WebP. `name` is the result's, or the job's id alone.
        """
        job = await _job(jobs, name)
        key, kind = original_key(job), ImageFormat(str(job.input_format))
        longest = None if size is None else snapped(size)
        headers = _headers(f"{job.id}-original-{longest or 'full'}")
        if _has_it(request, headers):
            return Response(status_code=304, headers=headers)
        try:
            size_bytes = await store.size(key)
            if longest is None and kind in SHOWN_BY_BROWSERS:
                headers["Content-Length"] = str(size_bytes)
                if request.method == "HEAD":
                    return Response(headers=headers, media_type=kind.media_type)
                return StreamingResponse(store.stream(key), headers=headers, media_type=kind.media_type)
            held = size_bytes + held_bytes(kind, job.input_width or 0, job.input_height or 0, longest)
            picture = await scaler.scaled(partial(store.get, key), held, longest)
        except NotFound as error:
            raise Expired("This file is not kept any more.") from error
        return Response(picture.data, headers=headers, media_type=picture.format.media_type)

    @routes.head("/results/{name}/thumbnail", include_in_schema=False)
    @routes.get(
        "/results/{name}/thumbnail",
        summary="A result made smaller",
        response_class=Response,
        responses=documented(InvalidParameter, NotFound, Conflict, Expired) | _SHOWN,
    )
    async def small_result(name: str, request: Request, size: Size = THUMBNAIL_SIZE) -> Response:
        """A JPEG, or a WebP where something is transparent. Never larger than the result itself."""
        job = await _job(jobs, name)
        _, size_bytes, _ = await jobs.open_result(job.id)
        longest = snapped(size)
        headers = _headers(f"{job.id}-{longest}")
        if _has_it(request, headers):
            return Response(status_code=304, headers=headers)
        kind = ImageFormat(str(job.result_format))
        held = size_bytes + held_bytes(kind, job.result_width or 0, job.result_height or 0, longest)
        picture = await scaler.scaled(partial(jobs.read_result, job.id), held, longest)
        return Response(picture.data, headers=headers, media_type=picture.format.media_type)

    return routes


async def _job(jobs: JobService, name: str) -> Job:
    """The job of a result's name, or of an id alone. Raises NotFound."""
    stem, dot, extension = name.rpartition(".")
    job = await jobs.get(job_id_of(stem if dot else name))
    if dot and (extension == TEXT or extension != extension_of(job)):
        raise NotFound("There is no such file.")
    return job


def _headers(tag: str) -> dict[str, str]:
    return {"Cache-Control": ONE_HOUR, "ETag": f'"{tag}"', "X-Content-Type-Options": "nosniff"}


def _has_it(request: Request, headers: dict[str, str]) -> bool:
    return request.headers.get("if-none-match") == headers["ETag"]
