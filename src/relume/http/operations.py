"""What operators ask: is it alive, and what is it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Literal

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse
from pydantic import BaseModel

from relume import __version__
from relume.errors import KeyMissing, KeyWrong
from relume.http.gate import Gate
from relume.http.problems import documented
from relume.providers.prices import estimate, price_table
from relume.recipes import listed_models
from relume.tasks import GenerateText, TextToImage
from relume.wiring.services import Services


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


class LocalWeights(BaseModel):
    """Weights on this machine, whose they are, and under which licence."""

    model: str
    version: str
    kind: Literal["upscaler", "faces", "detector", "recogniser"]
    licence: str
    licence_note: str
    by: str
    project: str


class Info(BaseModel):
    service: Literal["relume"] = "relume"
    version: str = __version__
    mode: Literal["embedded", "distributed"]
    """Whether this process works on jobs itself, or hands them to workers."""
    capabilities: dict[str, bool]
    limits: dict[str, float]
    """A quota or rate of 0 is no limit."""
    providers: list[ProviderInfo]
    chains: dict[str, list[str]]
    """Who would be tried for each task now, in order."""
    models: list[str]
    generation_models: dict[str, list[str]]
    """What makes pictures or text from prompts, by kind of task; the first is the default."""
    local_weights: list[LocalWeights]
    """What local models run with now, in the process that answers."""
    references: list[Reference]
    """What the hosted models usually take and cost: the base of estimates."""


def _references() -> list[Reference]:
    table = price_table()
    priced = [
        Reference(model=price.title, seconds=price.seconds, usd=round(estimate(address) or 0.0, 4))
        for address, price in table.models.items()
    ]
    return priced + [Reference(model=one.title, seconds=one.seconds, usd=0.0) for one in table.free]


def _generation_models(services: Services) -> dict[str, list[str]]:
    """What makes pictures or text from prompts, by those providers that would be tried now."""
    settings, chains = services.settings, services.catalog.chains()
    pictures = {
        "replicate": list(settings.generation_models),
        "huggingface": [settings.huggingface_image_model],
        "mock": ["mock"],
    }
    texts = {"huggingface": [settings.huggingface_text_model], "mock": ["mock"]}
    by_task = {TextToImage.name: pictures, GenerateText.name: texts}
    return {
        task: [model for provider in chains[task] for model in models.get(provider, [])]
        for task, models in by_task.items()
    }


def _info(services: Services) -> Info:
    settings, catalog = services.settings, services.catalog
    return Info(
        limits={
            "max_image_mb": settings.max_image_mb,
            "max_width": services.limits.max_width,
            "max_height": services.limits.max_height,
            "rate_limit_per_min": settings.rate_limit_per_min,
            "result_ttl_minutes": settings.result_ttl_minutes,
            "quota_jobs_per_day": settings.quota_jobs_per_day,
            "quota_usd_per_day": settings.quota_usd_per_day,
        },
        mode=services.mode,
        capabilities={
            "restore": settings.restore_enabled,
            "text_to_image": bool(catalog.chains()[TextToImage.name]),
            "generate_text": bool(catalog.chains()[GenerateText.name]),
            "webhooks": services.webhooks is not None,
            "result_cache": settings.result_cache_enabled and settings.provider != "generic",
            "api_key": settings.api_key is not None,
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
        generation_models=_generation_models(services),
        local_weights=[
            LocalWeights.model_validate(asdict(credit) | {"kind": kind}) for kind, credit in catalog.credits
        ],
        references=_references(),
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
