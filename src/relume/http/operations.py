"""What operators ask: is it alive, and what is it."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse
from pydantic import BaseModel

from relume import __version__
from relume.errors import KeyMissing, KeyWrong
from relume.http.gate import Gate
from relume.http.problems import documented
from relume.recipes import listed_models
from relume.wiring import Services


class Health(BaseModel):
    status: Literal["healthy"] = "healthy"
    service: Literal["relume"] = "relume"
    version: str = __version__


class ProviderInfo(BaseModel):
    name: str
    usable: bool
    reason: str | None
    """Why it is not usable as configured."""
    stays_on_this_machine: bool
    resting_for: list[str]
    """The kinds of task for which it failed too often lately, and is left alone for a moment."""


class Reference(BaseModel):
    model: str
    seconds: str
    usd: float


class Info(BaseModel):
    service: Literal["relume"] = "relume"
    version: str = __version__
    limits: dict[str, float]
    providers: list[ProviderInfo]
    chains: dict[str, list[str]]
    """Who would be tried for each task now, in order."""
    models: list[str]
    references: list[Reference]
    """What the hosted models usually take and cost: the base of estimates."""


_REFERENCES = [
    Reference(model="GFPGAN", seconds="3-5", usd=0.002),
    Reference(model="Real-ESRGAN", seconds="about 9", usd=0.0019),
    Reference(model="Hugging Face", seconds="variable", usd=0.0),
]


def _info(services: Services) -> Info:
    settings, catalog = services.settings, services.catalog
    return Info(
        limits={
            "max_image_mb": settings.max_image_mb,
            "max_width": services.limits.max_width,
            "max_height": services.limits.max_height,
            "rate_limit_per_min": settings.rate_limit_per_min,
            "result_ttl_minutes": settings.result_ttl_minutes,
        },
        providers=[
            ProviderInfo(
                name=provider.name,
                usable=provider.unavailable() is None,
                reason=provider.unavailable(),
                stays_on_this_machine=provider.is_local,
                resting_for=catalog.breakers.open_tasks(provider.name),
            )
            for provider in catalog.providers
        ],
        chains=catalog.chains(),
        models=[card.id for card in listed_models()],
        references=_REFERENCES,
    )


def router(services: Services, gate: Gate) -> APIRouter:
    routes = APIRouter(tags=["operations"])

    @routes.get("/health", summary="Whether the process answers")
    async def health() -> Health:
        """Touches nothing slow: it answers as long as the process can answer anything."""
        return Health()

    @routes.get(
        "/info",
        summary="Configuration without secrets",
        dependencies=[Depends(gate.require_key)],
        responses=documented(KeyMissing, KeyWrong),
    )
    async def info() -> Info:
        """Limits, providers and whether each is usable, models, and what they cost."""
        return _info(services)

    @routes.get("/", include_in_schema=False)
    async def root(request: Request) -> Response:
        if "text/html" in request.headers.get("accept", ""):
            return RedirectResponse("/dashboard/")
        links: dict[str, Any] = {"dashboard": "/dashboard/", "docs": "/docs", "health": "/health"}
        return JSONResponse({"service": "relume", "version": __version__, "links": links})

    return routes
