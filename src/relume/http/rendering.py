"""`POST /api/v1/jobs/{job_id}/render`: the same restoration at another strength, without doing it again."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends, Request, Response

from relume.errors import (
    Conflict,
    Expired,
    IdempotencyMismatch,
    InternalError,
    InvalidInput,
    InvalidParameter,
    KeyMissing,
    KeyWrong,
    NotFound,
    QuotaExceeded,
    RateLimited,
    RestoreDisabled,
    ServiceAway,
)
from relume.http.contracts.generate import GenerateRoute
from relume.http.contracts.generate_list import BAD_INPUT
from relume.http.contracts.v1 import Accepted, accepted
from relume.http.gate import Gate
from relume.http.ids import job_id_of
from relume.http.problems import documented
from relume.http.uploads import IDEMPOTENCY_PARAMETER, idempotency_key, read_json
from relume.jobs.rendering import origin_of
from relume.jobs.service import Submission
from relume.recipes import STRENGTH_MAX, STRENGTH_MIN, build
from relume.wiring.services import Services

CONTRACT = "render"
LANE = "hosted"
"""The lane of what does not occupy this machine's device: people wait for this, and it takes a second."""


def router(services: Services, gate: Gate) -> APIRouter:
    routes = APIRouter(prefix="/api/v1", tags=["rendering"], route_class=GenerateRoute)

    @routes.post(
        "/jobs/{job_id}/render",
        status_code=201,
        summary="The same restoration at another strength",
        dependencies=[Depends(gate.require_key), Depends(gate.admit_job)],
        openapi_extra={"requestBody": _body_schema(), "parameters": [IDEMPOTENCY_PARAMETER]},
        responses=documented(
            IdempotencyMismatch,
            KeyMissing,
            KeyWrong,
            NotFound,
            Conflict,
            Expired,
            RateLimited,
            QuotaExceeded,
            InternalError,
            RestoreDisabled,
            ServiceAway,
        )
        | documented(InvalidInput, InvalidParameter, status=BAD_INPUT),
    )
    async def render(job_id: str, request: Request, response: Response) -> Accepted:
        """Makes a new job, which runs no provider and costs nothing. Poll `GET /v1/jobs/{job_id}`."""
        strength = _strength((await read_json(request)).get("strength"))
        origin = await origin_of(job_id_of(job_id), services.jobs.repository)
        recipe = build(
            origin.model_id,
            strength=strength,
            scale=origin.scale,
            parameters=origin.parameters,
            local_only=origin.local_only,
        )
        job = await services.jobs.submit(
            Submission(
                contract=CONTRACT,
                recipe=recipe,
                lane=LANE,
                render_of=origin,
                parameters=origin.parameters,
                client=gate.client(request),
                idempotency_key=idempotency_key(request),
            )
        )
        return accepted(job, response)

    return routes


def _strength(value: object) -> float:
    """Raises InvalidParameter."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not STRENGTH_MIN <= float(value) <= STRENGTH_MAX:  # type: ignore[arg-type]
        raise InvalidParameter(f"strength must be a number from {STRENGTH_MIN} to {STRENGTH_MAX:.1f}.")
    return float(value)  # type: ignore[arg-type]


def _body_schema() -> dict[str, Any]:
    strength = {"type": "number", "minimum": STRENGTH_MIN, "maximum": STRENGTH_MAX}
    schema = {"type": "object", "required": ["strength"], "properties": {"strength": strength}}
    return {"required": True, "content": {"application/json": {"schema": schema}}}
