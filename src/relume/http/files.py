"""Serving results. They stay open to whoever knows the address: it holds an unguessable id."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse, StreamingResponse

from relume.errors import Conflict, Expired, NotFound
from relume.http.ids import job_id_of
from relume.http.problems import documented
from relume.imaging.photo import ImageFormat
from relume.jobs.models import Job
from relume.jobs.service import JobService
from relume.settings import Settings

_TEXT = "txt"
_ONE_HOUR = "public, max-age=3600, immutable"


def result_url(job: Job, settings: Settings, request: Request) -> str | None:
    """Where a succeeded job's result is served, whatever contract asks."""
    if job.result_format is None and job.result_text is None:
        return None
    base = settings.result_base_url or str(request.base_url).rstrip("/")
    extension = ImageFormat(job.result_format).extension if job.result_format else _TEXT
    return f"{base}/results/{job.id}.{extension}"


async def serve_result(jobs: JobService, name: str, request: Request) -> Response:
    """The image of a job by its name: the job's id and the format's extension. Raises as `open_result` does."""
    stem, _, extension = name.rpartition(".")
    job, size_bytes, chunks = await jobs.open_result(job_id_of(stem))
    kind = ImageFormat(str(job.result_format))
    if extension != kind.extension:
        raise NotFound("There is no such file.")
    headers = {
        "Content-Length": str(size_bytes),
        "Cache-Control": _ONE_HOUR,
        "ETag": f'"{job.id}"',
        "X-Content-Type-Options": "nosniff",
    }
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers | {"Content-Length": "0"})
    if request.method == "HEAD":
        return Response(headers=headers, media_type=kind.media_type)
    return StreamingResponse(chunks, headers=headers, media_type=kind.media_type)


def router(jobs: JobService) -> APIRouter:
    routes = APIRouter(tags=["results"])

    async def _text(stem: str) -> str:
        job = await jobs.get(job_id_of(stem))
        if job.result_text is None:
            raise NotFound("There is no such file.")
        return job.result_text

    @routes.head("/results/{name}", include_in_schema=False)
    @routes.get(
        "/results/{name}",
        summary="A result file",
        response_class=Response,
        responses=documented(NotFound, Conflict, Expired)
        | {200: {"content": {"image/png": {}, "image/jpeg": {}}}},
    )
    async def result(name: str, request: Request) -> Response:
        stem, _, extension = name.rpartition(".")
        if extension == _TEXT:
            return PlainTextResponse(await _text(stem), headers={"X-Content-Type-Options": "nosniff"})
        return await serve_result(jobs, name, request)

    return routes
