"""`GET /api/v1/estimate`: what photos will take and cost, before they are sent."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel

from relume.errors import InvalidParameter, KeyMissing, KeyWrong, UnknownModel
from relume.http.contracts.generate import GenerateRoute
from relume.http.contracts.generate_list import BAD_INPUT
from relume.http.gate import Gate
from relume.http.problems import documented
from relume.jobs.durations import usual_seconds
from relume.jobs.pulse import ALIVE
from relume.providers.prices import reference_seconds
from relume.providers.replicate import ReplicateProvider
from relume.providers.replicate_models import order_for
from relume.recipes import (
    ENHANCE_FACES_MODEL,
    ENHANCE_MODEL,
    FIX_PHOTO_MODEL,
    HD_IMAGE_MODEL,
    RESTORE_URL_MODEL,
    Recipe,
    build,
    find,
    listed_models,
)
from relume.wiring.services import Services

_MAX_COUNT = 1000
_MAX_SIDE = 16384
_PARAMETERS = {FIX_PHOTO_MODEL: {"version": "v1.4"}}
"""What a recipe needs to be built, where that changes nothing in what it costs."""
_PHOTO_MODELS = [card.id for card in listed_models()] + [
    RESTORE_URL_MODEL,
    FIX_PHOTO_MODEL,
    HD_IMAGE_MODEL,
    ENHANCE_FACES_MODEL,
    ENHANCE_MODEL,
]

Side = Annotated[int | None, Query(ge=1, le=_MAX_SIDE, description="Of the photo, in pixels")]


class Estimate(BaseModel):
    seconds: float | None
    """Of one photo, once its turn has come; null where nothing is known."""
    usd: float
    """Of one photo, if the first provider does it."""
    total_seconds: float | None
    total_usd: float
    providers: list[str]
    """Who would do the work now, in order; empty where nobody can."""
    is_paid: bool
    based_on: Literal["measured", "reference", "none"]
    """The seconds: of this service's own jobs, of the hosted models as `/info` tells them, or unknown."""


def router(services: Services, gate: Gate) -> APIRouter:
    routes = APIRouter(prefix="/api/v1", tags=["operations"], route_class=GenerateRoute)

    @routes.get(
        "/estimate",
        summary="What photos will take and cost",
        dependencies=[Depends(gate.require_key)],
        responses=documented(KeyMissing, KeyWrong)
        | documented(InvalidParameter, UnknownModel, status=BAD_INPUT),
    )
    async def estimate(
        request: Request,
        model_id: str | None = None,
        upscale: int | None = None,
        width: Side = None,
        height: Side = None,
        count: Annotated[int, Query(ge=1, le=_MAX_COUNT)] = 1,
        local_only: bool = False,
    ) -> Estimate:
        """Without `width` and `height`, of a photo as they usually come. Makes no job, and asks no provider."""
        if (width is None) != (height is None):
            raise InvalidParameter("Give width and height, or neither.")
        stays_local = local_only or gate.keeps_local(request)
        recipe = _recipe(model_id or services.settings.model_default, upscale, stays_local=stays_local)
        megapixels = width * height * recipe.scale**2 / 1e6 if width and height else None
        return await _estimate(services, recipe, megapixels, count)

    return routes


async def _estimate(services: Services, recipe: Recipe, megapixels: float | None, count: int) -> Estimate:
    usd = services.catalog.estimate_usd(recipe)
    seconds, based_on = await _seconds(services, recipe, megapixels)
    rounds = math.ceil(count / await _at_once(services, recipe))
    return Estimate(
        seconds=None if seconds is None else round(seconds, 2),
        usd=usd,
        total_seconds=None if seconds is None else round(seconds * rounds, 2),
        total_usd=round(usd * count, 6),
        providers=services.catalog.served_by(recipe),
        is_paid=usd > 0,
        based_on=based_on,
    )


async def _seconds(
    services: Services, recipe: Recipe, megapixels: float | None
) -> tuple[float | None, Literal["measured", "reference", "none"]]:
    """Only jobs count that were done by those who would do this one."""
    expected = tuple(provider.name for provider in services.catalog.first_choices(recipe))
    if len(expected) < len(recipe.tasks):
        return None, "none"
    runs = [run for run in await services.recent.runs(recipe.model_id) if run.providers == expected]
    if (measured := usual_seconds(runs, megapixels)) is not None:
        return measured, "measured"
    told = [_reference(name, recipe, index) for index, name in enumerate(expected)]
    known = [seconds for seconds in told if seconds is not None]
    return (sum(known), "reference") if len(known) == len(told) else (None, "none")


def _reference(provider: str, recipe: Recipe, index: int) -> float | None:
    order = order_for(recipe.tasks[index])
    if provider != ReplicateProvider.name or order is None:
        return None
    return reference_seconds(order.model.address)


async def _at_once(services: Services, recipe: Recipe) -> int:
    """How many such jobs are worked on at a time: a device takes one photo, a process waits for many services."""
    lane = services.catalog.lane(recipe)
    alive = await services.figures.processes(services.clock.now() - ALIVE)
    workers = max(sum(lane in row.lanes.split(",") for row in alive), 1)
    return workers * (services.settings.worker_concurrency if lane == "hosted" else 1)


def _recipe(model_id: str, upscale: int | None, *, stays_local: bool) -> Recipe:
    """Raises InvalidParameter, UnknownModel."""
    card = find(model_id)
    if model_id not in _PHOTO_MODELS:
        raise InvalidParameter(f"model_id must be one of {', '.join(_PHOTO_MODELS)}.")
    scale = card.scales[0] if upscale is None else upscale
    return build(model_id, scale=scale, parameters=_PARAMETERS.get(model_id), local_only=stays_local)
