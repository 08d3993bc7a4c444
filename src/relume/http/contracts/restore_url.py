"""Contract A: restore a photo by its URL."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel

from relume.errors import (
    IdempotencyMismatch,
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
    UrlRefused,
)
from relume.http.files import result_url
from relume.http.gate import Gate
from relume.http.ids import job_id_of
from relume.http.local_only import FIELD, local_only
from relume.http.problems import documented
from relume.http.uploads import IDEMPOTENCY_PARAMETER, idempotency_key, read_json
from relume.jobs.models import Job, JobStatus
from relume.jobs.service import Submission
from relume.recipes import RESTORE_URL_MODEL, build
from relume.wiring.services import Services

CONTRACT = "restore_url"


class Accepted(BaseModel):
    status: Literal["processing"]
    jobId: str  # noqa: N815 (the client's spelling)


def router(services: Services, gate: Gate) -> APIRouter:
    routes = APIRouter(tags=["A: restore by URL"], dependencies=[Depends(gate.require_key)])
    jobs, settings = services.jobs, services.settings

    @routes.post(
        "/restore",
        status_code=202,
        summary="Restore the photo at a URL",
        dependencies=[Depends(gate.admit_job)],
        openapi_extra={"requestBody": _body_schema(), "parameters": [IDEMPOTENCY_PARAMETER]},
        responses=documented(
            InvalidInput,
            InvalidParameter,
            UrlRefused,
            IdempotencyMismatch,
            KeyMissing,
            KeyWrong,
            RateLimited,
            QuotaExceeded,
            InternalError,
            RestoreDisabled,
            ServiceAway,
            NoProvider,
        ),
    )
    async def restore(request: Request) -> Accepted:
        """Answers at once; the photo is fetched by the job. Poll `GET /restore/{jobId}`."""
        body = await read_json(request)
        url = body.get("imageUrl")
        if not isinstance(url, str) or not url.strip():
            raise InvalidParameter("imageUrl must be the URL of a photo.")
        stays_local = local_only(body.get("local_only"), gate, request)
        recipe = build(RESTORE_URL_MODEL, strength=1.0, scale=4, local_only=stays_local)
        services.catalog.check_local(recipe)
        await services.policy.check(url.strip())
        job = await jobs.submit(
            Submission(
                contract=CONTRACT,
                recipe=recipe,
                lane=services.catalog.lane(recipe),
                source_url=url.strip(),
                client=gate.client(request),
                idempotency_key=idempotency_key(request),
            )
        )
        return Accepted(status="processing", jobId=str(job.id))

    @routes.get(
        "/restore/{job_id}",
        summary="The state of a restoration by URL",
        responses=documented(KeyMissing, KeyWrong, NotFound),
    )
    async def state(job_id: str, request: Request) -> dict[str, Any]:
        job = await jobs.get(job_id_of(job_id))
        if job.status is JobStatus.SUCCEEDED:
            return _completed(job, result_url(job, settings, request))
        if job.status.has_ended:
            return {"status": "failed", "originalUrl": job.source_url, "error": job.error_detail}
        return {"status": "processing", "progress": round(job.progress, 4)}

    return routes


def _completed(job: Job, restored_url: str | None) -> dict[str, Any]:
    report = job.report or []
    return {
        "status": "completed",
        "originalUrl": job.source_url,
        "restoredUrl": restored_url,
        "pipeline": [part["model"] for part in report],
        "metadata": {
            "outcome": job.outcome,
            "fidelity": job.fidelity,
            "width": job.result_width,
            "height": job.result_height,
            "cost_usd": job.cost_usd,
            "steps": report,
        },
    }


def _body_schema() -> dict[str, Any]:
    properties = {
        "imageUrl": {"type": "string", "format": "uri", "examples": ["https://example.org/photo.jpg"]},
        "local_only": FIELD,
    }
    schema = {"type": "object", "required": ["imageUrl"], "properties": properties}
    return {"required": True, "content": {"application/json": {"schema": schema}}}
