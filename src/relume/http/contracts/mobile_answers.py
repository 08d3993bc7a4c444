"""How contract B answers: one shape for success, one for every failure."""

from __future__ import annotations

import base64
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute

from relume.errors import InternalError, RelumeError
from relume.http.contracts.mobile_docs import STATUSES
from relume.http.problems import of_fault
from relume.imaging.photo import ImageFormat
from relume.jobs.models import Job, worked_last

SOURCES = {"cog": "local", "generic": "mock"}
"""Providers that contract B has no word of its own for: a model of one's own, and a dummy."""


class MobileRoute(APIRoute):
    """Every failure in contract B's own shape."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_or_tell(request: Request) -> Response:
            try:
                return await handle(request)
            except RelumeError as error:
                return failure(error)
            except Exception as error:  # noqa: BLE001 (it is logged there)
                return failure(of_fault(request, error))

        return handle_or_tell


def image_answer(job: Job, data: bytes) -> JSONResponse:
    """The result of a job as a data URI that states its true type."""
    kind = ImageFormat(str(job.result_format)).media_type
    image = f"data:{kind};base64,{base64.b64encode(data).decode()}"
    return _success(job, "Image processed successfully", image=image)


def text_answer(job: Job, text: str) -> JSONResponse:
    return _success(job, "Text generated successfully", text=text)


def _success(job: Job, message: str, **made: str) -> JSONResponse:
    told = {"success": True, "message": message, "source": _source(job), **made, "job_id": str(job.id)}
    return JSONResponse(told)


def failure(error: RelumeError, job: Job | None = None) -> JSONResponse:
    told: dict[str, Any] = {"success": False, "error": error.detail}
    if job is not None:
        told["job_id"] = str(job.id)
    headers = {}
    if (wait_seconds := error.extra.get("retry_after_seconds")) is not None:
        headers["Retry-After"] = str(wait_seconds)
    status = STATUSES.get(type(error), error.status)
    return JSONResponse(told, status_code=status, headers=headers)


def error_of(job: Job) -> RelumeError:
    detail = job.error_detail or "The job failed."
    kinds: list[type[RelumeError]] = [RelumeError]
    for kind in kinds:  # Grows while it is walked: the whole tree.
        kinds += kind.__subclasses__()
    found = next((kind for kind in kinds if kind.code == job.error_code), InternalError)
    return found(detail)


def _source(job: Job) -> str:
    """Who did the work, in contract B's words."""
    name = str(worked_last(job.report))
    return SOURCES.get(name, name)
