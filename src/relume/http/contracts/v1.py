"""Contract D: `POST /v1/restore` and `GET /v1/jobs/{job_id}`. Paths, names and status codes are frozen."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Literal

from fastapi import APIRouter, Depends, Request, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BaseModel

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
    NoProvider,
    NotFound,
    QuotaExceeded,
    RateLimited,
    RestoreDisabled,
    ServiceAway,
    UnknownModel,
    UnsupportedFormat,
    UrlRefused,
)
from relume.http.contracts.v1_form import form_schema, recipe_of, webhook_url_of
from relume.http.files import result_url
from relume.http.gate import Gate
from relume.http.ids import job_id_of
from relume.http.local_only import local_only
from relume.http.problems import documented
from relume.http.uploads import IDEMPOTENCY_PARAMETER, filename_of, idempotency_key, image_of, read_form
from relume.jobs.models import Job, JobStatus
from relume.jobs.service import Submission
from relume.recipes import ModelCard, build, listed_models
from relume.settings import Settings
from relume.wiring.services import Services

CONTRACT = "v1"


class Accepted(BaseModel):
    job_id: str
    status: Literal["queued"]


def accepted(job: Job, response: Response) -> Accepted:
    """A new job's answer, with the address to poll in its header."""
    response.headers["Location"] = f"/v1/jobs/{job.id}"
    return Accepted(job_id=str(job.id), status="queued")


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
    _add_restore(routes, services, gate)
    _add_job_state(routes, services)
    _add_job_events(routes, services)
    _add_cancel(routes, services)
    _add_models(routes, services)
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
    QuotaExceeded,
    InternalError,
    RestoreDisabled,
    ServiceAway,
    NoProvider,
)


def _add_restore(routes: APIRouter, services: Services, gate: Gate) -> None:
    settings = services.settings

    @routes.post(
        "/restore",
        status_code=201,
        summary="Restore a photo",
        dependencies=[Depends(gate.admit_job)],
        openapi_extra={
            "requestBody": form_schema(settings.model_default),
            "parameters": [IDEMPOTENCY_PARAMETER],
        },
        responses=documented(*_RESTORE_ERRORS),
    )
    async def restore(request: Request, response: Response) -> Accepted:
        """Accepts a photo and answers at once. Poll `GET /v1/jobs/{job_id}` every 1.5 s, or read its events."""
        async with read_form(request, settings.max_image_bytes) as form:
            stays_local = local_only(form.get("local_only"), gate, request)
            recipe = recipe_of(form, settings.model_default, stays_local=stays_local)
            services.catalog.check_local(recipe)
            webhook_url = await webhook_url_of(form, services)
            data, filename = await image_of(form), filename_of(form)
        job = await services.jobs.submit(
            Submission(
                contract=CONTRACT,
                recipe=recipe,
                lane=services.catalog.lane(recipe),
                data=data,
                filename=filename,
                client=gate.client(request),
                idempotency_key=idempotency_key(request),
                webhook_url=webhook_url,
            )
        )
        return accepted(job, response)


def _add_job_state(routes: APIRouter, services: Services) -> None:
    jobs, settings = services.jobs, services.settings

    @routes.get(
        "/jobs/{job_id}", summary="A job's state", responses=documented(KeyMissing, KeyWrong, NotFound)
    )
    async def job_state(job_id: str, request: Request, response: Response) -> JobState:
        response.headers["Cache-Control"] = "no-store"
        return _state(await jobs.get(job_id_of(job_id)), settings, request)


def _add_job_events(routes: APIRouter, services: Services) -> None:
    jobs, settings = services.jobs, services.settings

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

        While the job waits, they tell its `queue_position`, from 1. On success the `done` event also tells the
        `outcome`, the `fidelity` and the `steps` that were taken, on failure the `error_code`.
        """
        last: dict[str, Any] = {}
        async for seen, step in jobs.watch(job.id, while_queued=True):
            kind = "done" if seen.status.has_ended else "progress"
            told = _state(seen, settings, request).model_dump() | {"step": step} | _account(seen)
            if seen.status is JobStatus.QUEUED:
                told["queue_position"] = await services.batches.queue_position([seen])
            if told != last:
                yield ServerSentEvent(event=kind, data=told)
            last = told


def _add_cancel(routes: APIRouter, services: Services) -> None:
    jobs, settings = services.jobs, services.settings

    @routes.delete(
        "/jobs/{job_id}",
        summary="Cancel a job",
        responses=documented(KeyMissing, KeyWrong, NotFound, Conflict),
    )
    async def cancel(job_id: str, request: Request) -> JobState:
        """A queued job ends at once, a running one at its next step. It reads `failed` from then on."""
        return _state(await jobs.cancel(job_id_of(job_id)), settings, request)


def _add_models(routes: APIRouter, services: Services) -> None:
    @routes.get(
        "/models", summary="The models that model_id may name", responses=documented(KeyMissing, KeyWrong)
    )
    async def models() -> Models:
        return Models(models=[_model(card, services) for card in listed_models()])


def _model(card: ModelCard, services: Services) -> Model:
    smallest = build(card.id, scale=card.scales[0])
    return Model(
        id=card.id,
        title=card.title,
        description=card.description,
        default=card.id == services.settings.model_default,
        upscale=list(card.scales),
        providers=services.catalog.served_by(smallest),
        estimated_cost_usd=services.catalog.estimate_usd(smallest),
    )


def _state(job: Job, settings: Settings, request: Request) -> JobState:
    succeeded = job.status is JobStatus.SUCCEEDED
    return JobState(
        job_id=str(job.id),
        status="failed" if job.status is JobStatus.CANCELLED else job.status.value,
        progress=1.0 if succeeded else round(job.progress, 4),
        result_url=result_url(job, settings, request) if succeeded else None,
        error=job.error_detail if job.status.has_ended and not succeeded else None,
    )


def _account(job: Job) -> dict[str, Any]:
    """What was done to a succeeded photo, step by step, or why there is none. Empty before the end."""
    if job.status is not JobStatus.SUCCEEDED:
        return {"error_code": job.error_code} if job.status.has_ended else {}
    steps = [
        {"name": step["name"], "changed": step["changed"], "detail": step["detail"]}
        | {"confidence": step["confidence"], "provider": part["provider"], "model": part["model"]}
        for part in job.report or []
        for step in part["steps"]
    ]
    return {"outcome": job.outcome, "fidelity": job.fidelity, "steps": steps}
