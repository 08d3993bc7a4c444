"""Contract D: `POST /v1/restore` and `GET /v1/jobs/{job_id}`. Paths, names and status codes are frozen."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from typing import Any, Literal

from fastapi import APIRouter, Depends, Request, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BaseModel
from starlette.datastructures import FormData

from relume.errors import (
    Conflict,
    IdempotencyMismatch,
    ImageDimensions,
    ImageMissing,
    ImageTooLarge,
    ImageUnreadable,
    InternalError,
    InvalidInput,
    InvalidParameter,
    KeyMissing,
    KeyWrong,
    NotFound,
    RateLimited,
    RestoreDisabled,
    ServiceAway,
    UnknownModel,
    UnsupportedFormat,
    UrlRefused,
)
from relume.http.files import result_url
from relume.http.gate import Gate
from relume.http.ids import job_id_of
from relume.http.problems import documented
from relume.http.uploads import IDEMPOTENCY_PARAMETER, idempotency_key, image_of, read_form
from relume.jobs.models import Job, JobStatus
from relume.jobs.service import Submission
from relume.recipes import SCALES, STRENGTH_DEFAULT, STRENGTH_MAX, STRENGTH_MIN, Recipe, build, listed_models
from relume.wiring import Services

CONTRACT = "v1"


class Accepted(BaseModel):
    job_id: str
    status: Literal["queued"]


class JobState(BaseModel):
    job_id: str
    status: Literal["queued", "running", "succeeded", "failed"]
    progress: float
    result_url: str | None
    error: str | None


class Model(BaseModel):
    id: str
    title: str
    description: str
    default: bool
    upscale: list[int]
    providers: list[str]
    """Who would do the work now, in order."""
    estimated_cost_usd: float
    """Of a photo at the smallest upscale, if the first of them does it."""


class Models(BaseModel):
    models: list[Model]


def router(services: Services, gate: Gate) -> APIRouter:
    routes = APIRouter(prefix="/v1", tags=["D: restore"], dependencies=[Depends(gate.require_key)])
    jobs, settings = services.jobs, services.settings

    def state(job: Job, request: Request) -> JobState:
        succeeded = job.status is JobStatus.SUCCEEDED
        return JobState(
            job_id=str(job.id),
            status="failed" if job.status is JobStatus.CANCELLED else job.status.value,
            progress=1.0 if succeeded else round(job.progress, 4),
            result_url=result_url(job, settings, request) if succeeded else None,
            error=job.error_detail if job.status.has_ended and not succeeded else None,
        )

    @routes.post(
        "/restore",
        status_code=201,
        summary="Restore a photo",
        dependencies=[Depends(gate.admit_job)],
        openapi_extra={
            "requestBody": _form_schema(settings.model_default),
            "parameters": [IDEMPOTENCY_PARAMETER],
        },
        responses=documented(*_RESTORE_ERRORS),
    )
    async def restore(request: Request, response: Response) -> Accepted:
        """Accepts a photo and answers at once. Poll `GET /v1/jobs/{job_id}` every 1.5 s, or read its events."""
        async with read_form(request, settings.max_image_bytes) as form:
            recipe = _recipe(form, settings.model_default)
            webhook_url = await _webhook_url(form, services)
            data = await image_of(form)
        job = await jobs.submit(
            Submission(
                contract=CONTRACT,
                recipe=recipe,
                lane=services.catalog.lane(recipe),
                data=data,
                client=gate.client(request),
                idempotency_key=idempotency_key(request),
                webhook_url=webhook_url,
            )
        )
        response.headers["Location"] = f"/v1/jobs/{job.id}"
        return Accepted(job_id=str(job.id), status="queued")

    @routes.get(
        "/jobs/{job_id}", summary="A job's state", responses=documented(KeyMissing, KeyWrong, NotFound)
    )
    async def job_state(job_id: str, request: Request, response: Response) -> JobState:
        response.headers["Cache-Control"] = "no-store"
        return state(await jobs.get(job_id_of(job_id)), request)

    async def watched(job_id: str) -> Job:
        """Found before the stream starts, so that an unknown job is a plain 404."""
        return await jobs.get(job_id_of(job_id))

    @routes.get(
        "/jobs/{job_id}/events",
        summary="A job's progress as server-sent events",
        response_class=EventSourceResponse,
        responses=documented(KeyMissing, KeyWrong, NotFound),
    )
    async def events(request: Request, job: Job = Depends(watched)) -> AsyncIterator[ServerSentEvent]:  # noqa: B008
        """`progress` events with the job's state and the `step` it is at; one `done` event at the end.

        On success the `done` event also tells the `outcome`, the `fidelity` and the `steps` that were taken.
        """
        async for seen, step in jobs.watch(job.id):
            kind = "done" if seen.status.has_ended else "progress"
            told = state(seen, request).model_dump() | {"step": step}
            yield ServerSentEvent(event=kind, data=told | _account(seen))

    @routes.delete(
        "/jobs/{job_id}",
        summary="Cancel a job",
        responses=documented(KeyMissing, KeyWrong, NotFound, Conflict),
    )
    async def cancel(job_id: str, request: Request) -> JobState:
        """A queued job ends at once, a running one at its next step. It reads `failed` from then on."""
        return state(await jobs.cancel(job_id_of(job_id)), request)

    @routes.get(
        "/models", summary="The models that model_id may name", responses=documented(KeyMissing, KeyWrong)
    )
    async def models() -> Models:
        return Models(
            models=[
                Model(
                    id=card.id,
                    title=card.title,
                    description=card.description,
                    default=card.id == settings.model_default,
                    upscale=list(card.scales),
                    providers=services.catalog.served_by(build(card.id, scale=card.scales[0])),
                    estimated_cost_usd=services.catalog.estimate_usd(build(card.id, scale=card.scales[0])),
                )
                for card in listed_models()
            ]
        )

    return routes


_RESTORE_ERRORS = (
    InvalidInput,
    InvalidParameter,
    UnknownModel,
    ImageMissing,
    ImageUnreadable,
    ImageDimensions,
    UrlRefused,
    IdempotencyMismatch,
    KeyMissing,
    KeyWrong,
    ImageTooLarge,
    UnsupportedFormat,
    RateLimited,
    InternalError,
    RestoreDisabled,
    ServiceAway,
)


def _account(job: Job) -> dict[str, Any]:
    """What was done to a succeeded photo, step by step. Empty for all other jobs."""
    if job.status is not JobStatus.SUCCEEDED:
        return {}
    steps = [
        {"name": step["name"], "changed": step["changed"], "detail": step["detail"]}
        | {"confidence": step["confidence"], "provider": part["provider"], "model": part["model"]}
        for part in job.report or []
        for step in part["steps"]
    ]
    return {"outcome": job.outcome, "fidelity": job.fidelity, "steps": steps}


def _recipe(form: FormData, default_model: str) -> Recipe:
    """The form's options. Raises InvalidParameter, UnknownModel."""
    model_id = _text(form, "model_id") or default_model
    allowed = f"strength must be a number from {STRENGTH_MIN} to {STRENGTH_MAX:.1f}."
    try:
        strength = float(_text(form, "strength") or STRENGTH_DEFAULT)
    except ValueError as error:
        raise InvalidParameter(allowed) from error
    if not math.isfinite(strength):
        raise InvalidParameter(allowed)
    scale = _text(form, "upscale") or "1"
    if scale not in map(str, SCALES):
        raise InvalidParameter("upscale must be 1, 2 or 4.")
    return build(model_id, strength=strength, scale=int(scale))


def _text(form: FormData, name: str) -> str | None:
    value = form.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not value.strip():
        raise InvalidParameter(f"{name} must not be empty.")
    return value.strip()


async def _webhook_url(form: FormData, services: Services) -> str | None:
    url = _text(form, "webhook_url")
    if url is None:
        return None
    if services.webhooks is None:
        raise InvalidParameter(
            "webhook_url cannot be used here: this service has no WEBHOOK_SECRET to sign with."
        )
    await services.policy.check(url)
    return url


def _form_schema(default_model: str) -> dict[str, Any]:
    properties = {
        "image": {"type": "string", "format": "binary", "description": "JPEG, PNG, WebP or HEIC"},
        "model_id": {"type": "string", "default": default_model},
        "strength": {
            "type": "number",
            "minimum": STRENGTH_MIN,
            "maximum": STRENGTH_MAX,
            "default": STRENGTH_DEFAULT,
            "description": "How much of the restoration is mixed over the original",
        },
        "upscale": {"type": "integer", "enum": list(SCALES), "default": 1},
        "webhook_url": {"type": "string", "format": "uri", "description": "Told when the job has ended"},
    }
    schema = {"type": "object", "required": ["image"], "properties": properties}
    return {"required": True, "content": {"multipart/form-data": {"schema": schema}}}
