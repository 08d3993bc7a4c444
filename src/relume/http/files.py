"""Serving results. They stay open to whoever knows the address: it holds an unguessable id."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any, Literal
from uuid import UUID

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse, RedirectResponse, StreamingResponse

from relume.errors import Conflict, Expired, NotFound
from relume.http.ids import job_id_of
from relume.http.problems import documented
from relume.imaging.photo import ImageFormat
from relume.jobs.files import is_media
from relume.jobs.models import Job, JobStatus
from relume.jobs.service import JobService
from relume.ports import Store
from relume.settings import Settings

TEXT = "txt"
THUMBNAIL_SIZE = 320
"""Pixels of the longest side, where nobody asks for another size."""
EXPIRED = "This file was deleted after its time. The record of what was done is kept."
ONE_HOUR = "public, max-age=3600, immutable"


def result_url(job: Job, settings: Settings, request: Request) -> str | None:
    """Where a succeeded job's result is served, whatever contract asks."""
    if job.result_format is None and job.result_text is None:
        return None
    folder = "media" if is_media(job) else "results"
    return f"{base_url(settings, request)}/{folder}/{job.id}.{extension_of(job)}"


def original_url(job: Job, settings: Settings, request: Request) -> str | None:
    """Where a job's photo is served as it came, for as long as it is kept."""
    if job.input_key is None or job.files_deleted_at is not None:
        return None
    return f"{base_url(settings, request)}/results/{job.id}/original"


def thumbnail_url(job: Job, settings: Settings, request: Request) -> str | None:
    """A small picture of a job: of its result, or of its photo while there is none."""
    if job.files_deleted_at is None and job.status is JobStatus.SUCCEEDED and job.result_format is not None:
        return f"{base_url(settings, request)}/results/{job.id}.{extension_of(job)}/thumbnail"
    original = original_url(job, settings, request)
    return f"{original}?size={THUMBNAIL_SIZE}" if original else None


def base_url(settings: Settings, request: Request) -> str:
    """What addresses of files begin with, without a slash at the end."""
    return settings.result_base_url or str(request.base_url).rstrip("/")


def shown_name(job: Job) -> str:
    """What the client called its photo, or the job's id."""
    return job.original_filename or str(job.id)


def extension_of(job: Job) -> str:
    """Of the file that a result is served as: `png`, `jpg`, or `txt`."""
    return ImageFormat(job.result_format).extension if job.result_format else TEXT


async def served(
    jobs: JobService, job_id: UUID, request: Request, *, as_attachment: bool = False
) -> Response:
    """A job's image, or 304 for those who have it. Raises NotFound, Conflict, Expired."""
    job, size_bytes, chunks = await jobs.open_result(job_id)
    kind = ImageFormat(str(job.result_format))
    headers = {
        "Content-Length": str(size_bytes),
        "Cache-Control": ONE_HOUR,
        "ETag": f'"{job.id}"',
        "X-Content-Type-Options": "nosniff",
    }
    if as_attachment:
        headers["Content-Disposition"] = f'attachment; filename="{job.id}.{kind.extension}"'
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers | {"Content-Length": "0"})
    if request.method == "HEAD":
        return Response(headers=headers, media_type=kind.media_type)
    return StreamingResponse(chunks, headers=headers, media_type=kind.media_type)


Delivery = Literal["proxy"] | None
"""`proxy`: the client wants the bytes from this service, even where it leads others to its bucket."""


async def link_to(
    jobs: JobService, settings: Settings, job: Job, request: Request, delivery: Delivery
) -> Response | None:
    """Leads to where the bucket serves a job's image; None where clients are not sent there.

    Raises NotFound, Conflict, Expired: a file that is missing is told here, not by the bucket.
    """
    if "proxy" in (settings.result_delivery, delivery):
        return None
    await jobs.open_result(job.id)
    # The method is signed with the rest.
    method: Literal["GET", "HEAD"] = "HEAD" if request.method == "HEAD" else "GET"
    link = await jobs.link_to_result(job, timedelta(seconds=settings.result_link_seconds), method)
    if link is None:
        return None
    return RedirectResponse(link, status_code=307, headers={"Cache-Control": "no-store"})


async def named(
    jobs: JobService, settings: Settings, name: str, request: Request, delivery: Delivery
) -> Response:
    """A job's image by its name: the job's id and the format's extension. Raises as `served` does."""
    stem, _, extension = name.rpartition(".")
    job = await jobs.get(job_id_of(stem))
    if job.result_format is not None and extension != extension_of(job):
        raise NotFound("There is no such file.")
    if link := await link_to(jobs, settings, job, request, delivery):
        return link
    return await served(jobs, job.id, request)


async def document(store: Store, key: str) -> dict[str, Any]:
    """A JSON object that is kept as a file. Raises NotFound."""
    found: dict[str, Any] = json.loads(await store.get(key))
    return found


def router(jobs: JobService, settings: Settings) -> APIRouter:
    routes = APIRouter(tags=["results"])

    async def _text(stem: str) -> str:
        job = await jobs.get(job_id_of(stem))
        if job.files_deleted_at is not None:
            raise Expired(EXPIRED)
        if job.result_text is None:
            raise NotFound("There is no such file.")
        return job.result_text

    @routes.head("/results/{name}", include_in_schema=False)
    @routes.get(
        "/results/{name}",
        summary="A result file",
        response_class=Response,
        responses=documented(NotFound, Conflict, Expired)
        | {
            200: {"content": {"image/png": {}, "image/jpeg": {}}},
            307: {"description": "The file lies at the address in Location, for a while"},
        },
    )
    async def result(name: str, request: Request, delivery: Delivery = None) -> Response:
        """`delivery=proxy`: through this service, even where it leads clients to its bucket."""
        stem, _, extension = name.rpartition(".")
        if extension == TEXT:
            return PlainTextResponse(await _text(stem), headers={"X-Content-Type-Options": "nosniff"})
        return await named(jobs, settings, name, request, delivery)

    return routes
