"""`POST /api/v1/jobs/{job_id}/retry`: what failed or was cancelled, asked for once more."""

from __future__ import annotations

from dataclasses import replace

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
    NoProvider,
    NotFound,
    QuotaExceeded,
    RateLimited,
    RestoreDisabled,
    ServiceAway,
    UnknownModel,
    UrlRefused,
)
from relume.http.contracts.generate import GenerateRoute
from relume.http.contracts.generate_list import BAD_INPUT
from relume.http.contracts.v1 import Accepted, accepted
from relume.http.gate import Gate
from relume.http.ids import job_id_of
from relume.http.local_only import local_only
from relume.http.problems import documented
from relume.http.rendering import LANE as RENDERING_LANE
from relume.http.uploads import IDEMPOTENCY_PARAMETER, idempotency_key
from relume.jobs.listing import kind_of
from relume.jobs.models import Job
from relume.jobs.rendering import owner_of
from relume.jobs.retrying import check_can_retry
from relume.jobs.runner import recipe_of
from relume.jobs.service import Submission
from relume.picture_models import check_allowed
from relume.recipes import Recipe
from relume.wiring.services import Services


def router(services: Services, gate: Gate) -> APIRouter:
    routes = APIRouter(prefix="/api/v1", tags=["retrying"], route_class=GenerateRoute)

    @routes.post(
        "/jobs/{job_id}/retry",
        status_code=201,
        summary="Try a failed or cancelled job again",
        dependencies=[Depends(gate.require_key)],
        openapi_extra={"parameters": [IDEMPOTENCY_PARAMETER]},
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
            NoProvider,
        )
        | documented(InvalidInput, InvalidParameter, UnknownModel, UrlRefused, status=BAD_INPUT),
    )
    async def retry(job_id: str, request: Request, response: Response) -> Accepted:
        """Makes a new job that asks for the same, from the original that was kept. Poll `GET /v1/jobs/{job_id}`."""
        origin = await services.jobs.get(job_id_of(job_id))
        check_can_retry(origin)
        recipe = replace(recipe_of(origin), local_only=local_only(origin.local_only, gate, request))
        await (gate.admit_job if recipe.needs_photo else gate.limit_rate)(request)
        asked = await _submission(origin, recipe, services)
        job = await services.jobs.submit(
            replace(asked, client=gate.client(request), idempotency_key=idempotency_key(request))
        )
        return accepted(job, response)

    return routes


async def _submission(origin: Job, recipe: Recipe, services: Services) -> Submission:
    """What was asked for, in the contract that it came by. Raises as a first request would, and Expired."""
    asked = Submission(
        contract=origin.contract,
        recipe=recipe,
        lane=RENDERING_LANE,
        source_url=origin.source_url,
        retry_of=origin,
        parameters=origin.parameters,
    )
    if origin.render_of is not None:
        return replace(asked, render_of=await owner_of(origin, services.jobs.repository))
    await _check_possible(origin, recipe, services)
    return replace(asked, lane=services.catalog.lane(recipe))


async def _check_possible(origin: Job, recipe: Recipe, services: Services) -> None:
    """What may have changed since it was asked for first. Raises NoProvider, UnknownModel, UrlRefused."""
    named = (origin.parameters or {}).get("model")
    if named and kind_of(origin) == "picture":
        allowed = (*services.settings.generation_models, services.settings.huggingface_image_model)
        check_allowed(named, allowed)
    services.catalog.check_local(recipe)
    if not recipe.needs_photo and not services.catalog.served_by(recipe):
        raise NoProvider("No service is configured any more that could do this.")
    if origin.source_url is not None and origin.input_key is None:
        await services.policy.check(origin.source_url)
