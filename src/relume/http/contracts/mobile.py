"""Contract B: an image in JSON in, an image in JSON out, in one call."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Depends, Request, Response

from relume.errors import JobUnfinished, NoProvider, RelumeError
from relume.http.contracts.mobile_answers import MobileRoute, error_of, failure, image_answer, text_answer
from relume.http.contracts.mobile_body import (
    allowed_model,
    choice,
    model,
    number,
    photo_of,
    prompt,
    whole,
)
from relume.http.contracts.mobile_docs import PHOTO_FAILURES, WORD_FAILURES, photo_body, prompt_body
from relume.http.gate import Gate
from relume.http.local_only import local_only
from relume.http.uploads import idempotency_key, read_json
from relume.imaging.photo import ImageFormat
from relume.jobs.models import Job, JobStatus
from relume.jobs.service import Submission
from relume.recipes import (
    CARTOON_MODEL,
    FIX_PHOTO_MODEL,
    HD_IMAGE_MODEL,
    PICTURE_MODEL,
    TEXT_MODEL,
    Recipe,
    build,
)
from relume.wiring.services import Services

CONTRACT = "mobile"
WAIT_SECONDS = 110.0
"""From the moment a request is read. The app gives up after 120."""
WORK_SECONDS = WAIT_SECONDS - 10
"""For the providers. What is left is for encoding and storing a large result, and for a slow database."""

FORMATS = frozenset({ImageFormat.PNG, ImageFormat.JPEG, ImageFormat.GIF, ImageFormat.WEBP, ImageFormat.HEIC})
VERSIONS = ("v1.2", "v1.3", "v1.4")


def router(services: Services, gate: Gate) -> APIRouter:
    routes = APIRouter(
        tags=["B: one call"], route_class=MobileRoute, dependencies=[Depends(gate.require_key)]
    )
    calls = _Calls(services, gate)
    _add_photo_endpoints(routes, calls, gate)
    _add_text_generation(routes, calls, gate)
    _add_text_to_image(routes, calls, gate)
    return routes


def _add_photo_endpoints(routes: APIRouter, calls: _Calls, gate: Gate) -> None:
    settings, catalog = calls.services.settings, calls.services.catalog

    @routes.post(
        "/api/ai/fix-old-photo",
        summary="Restore a portrait",
        dependencies=[Depends(gate.admit_job)],
        responses=PHOTO_FAILURES,
        openapi_extra=photo_body(version={"enum": list(VERSIONS), "default": "v1.3"}),
    )
    async def fix_old_photo(request: Request) -> Response:
        body = await read_json(request, settings.max_image_bytes)
        version = choice(body, "version", VERSIONS, "v1.3")
        return await calls.photo_job(request, body, FIX_PHOTO_MODEL, 2, {"version": version})

    @routes.post(
        "/api/ai/hd-image",
        summary="Enlarge a photo",
        dependencies=[Depends(gate.admit_job)],
        responses=PHOTO_FAILURES,
        openapi_extra=photo_body(scale={"enum": [2, 4], "default": 4}),
    )
    async def hd_image(request: Request) -> Response:
        body = await read_json(request, settings.max_image_bytes)
        return await calls.photo_job(request, body, HD_IMAGE_MODEL, choice(body, "scale", (2, 4), 4), {})

    @routes.post(
        "/api/ai/cartoonify",
        summary="Turn a photo into a cartoon",
        dependencies=[Depends(gate.admit_job)],
        responses=PHOTO_FAILURES,
        openapi_extra=photo_body(style={"enum": list(catalog.cartoon_styles)}),
    )
    async def cartoonify(request: Request) -> Response:
        body = await read_json(request, settings.max_image_bytes)
        styles = catalog.cartoon_styles
        style = choice(body, "style", styles, styles[0])
        return await calls.photo_job(request, body, CARTOON_MODEL, 1, {"style": style})


def _add_text_generation(routes: APIRouter, calls: _Calls, gate: Gate) -> None:
    @routes.post(
        "/api/huggingface/text-generation",
        summary="Text from a prompt",
        dependencies=[Depends(gate.limit_rate)],
        responses=WORD_FAILURES,
        openapi_extra=prompt_body(
            max_new_tokens={"type": "integer"}, temperature={"type": "number"}, model={"type": "string"}
        ),
    )
    async def text_generation(request: Request) -> Response:
        body = await read_json(request)
        parameters = {
            "prompt": prompt(body),
            "max_new_tokens": whole(body, "max_new_tokens", 1, 4096, 256),
            "temperature": number(body, "temperature", 0.0, 2.0, 0.7),
            "model": model(body),
        }
        return await calls.word_job(request, body, TEXT_MODEL, parameters)


def _add_text_to_image(routes: APIRouter, calls: _Calls, gate: Gate) -> None:
    settings = calls.services.settings
    allowed = (*settings.generation_models, settings.huggingface_image_model)

    @routes.post(
        "/api/huggingface/text-to-image",
        summary="A picture from a prompt",
        dependencies=[Depends(gate.limit_rate)],
        responses=WORD_FAILURES,
        openapi_extra=prompt_body(
            width={"type": "integer"},
            height={"type": "integer"},
            model={"type": "string"},
            seed={"type": "integer"},
        ),
    )
    async def text_to_image(request: Request) -> Response:
        body = await read_json(request)
        parameters = {
            "prompt": prompt(body),
            "width": whole(body, "width", 64, 2048, 1024),
            "height": whole(body, "height", 64, 2048, 1024),
            "model": allowed_model(body, allowed),
            "seed": whole(body, "seed", 0, 2**32 - 1, None),
        }
        return await calls.word_job(request, body, PICTURE_MODEL, parameters)


@dataclass(frozen=True, slots=True)
class _Calls:
    """A request made into a job, and the job's end into an answer."""

    services: Services
    gate: Gate

    async def photo_job(
        self, request: Request, body: dict[str, Any], model_id: str, scale: int, parameters: dict[str, Any]
    ) -> Response:
        stays_local = local_only(body.get("local_only"), self.gate, request)
        recipe = build(model_id, strength=1.0, scale=scale, parameters=parameters, local_only=stays_local)
        self.services.catalog.check_local(recipe)
        return await self._answered(request, recipe, parameters, photo_of(body))

    async def word_job(
        self, request: Request, body: dict[str, Any], model_id: str, parameters: dict[str, Any]
    ) -> Response:
        stays_local = local_only(body.get("local_only"), self.gate, request)
        recipe = build(model_id, strength=1.0, parameters=parameters, local_only=stays_local)
        self.services.catalog.check_local(recipe)
        if not self.services.catalog.served_by(recipe):
            raise NoProvider("No service is configured that could do this.")
        return await self._answered(request, recipe, parameters)

    async def _answered(
        self, request: Request, recipe: Recipe, parameters: dict[str, Any], photo: bytes | None = None
    ) -> Response:
        arrived = time.monotonic()
        job = await self.services.jobs.submit(
            Submission(
                contract=CONTRACT,
                recipe=recipe,
                lane=self.services.catalog.lane(recipe),
                data=photo,
                parameters=parameters,
                formats=FORMATS,
                client=self.gate.client(request),
                idempotency_key=idempotency_key(request),
                work_seconds=WORK_SECONDS,
            )
        )
        wait_seconds = WAIT_SECONDS - (time.monotonic() - arrived)
        job = await self.services.jobs.wait(job.id, wait_seconds)
        try:
            return await self._answer(job)
        except RelumeError as error:
            return failure(error, job)

    async def _answer(self, job: Job) -> Response:
        """Raises whatever the job has come to, if not to a result."""
        if not job.status.has_ended:
            raise JobUnfinished("This takes longer than usual. The result will be kept.")
        if job.status is not JobStatus.SUCCEEDED:
            raise error_of(job)
        if job.result_text is not None:
            return text_answer(job, job.result_text)
        return image_answer(job, await self.services.jobs.read_result(job.id))
