"""Contract B: an image in JSON in, an image in JSON out, in one call."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute

from relume.errors import (
    AllProvidersFailed,
    ImageMissing,
    InternalError,
    InvalidInput,
    InvalidParameter,
    JobUnfinished,
    NoProvider,
    RateLimited,
    RelumeError,
    ServiceAway,
)
from relume.http.gate import Gate
from relume.http.problems import of_fault
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
    build,
)
from relume.wiring import Services

T = TypeVar("T")
D = TypeVar("D", int, None)

CONTRACT = "mobile"
WAIT_SECONDS = 110.0
"""The app gives up after 120."""

FORMATS = frozenset({ImageFormat.PNG, ImageFormat.JPEG, ImageFormat.GIF, ImageFormat.WEBP, ImageFormat.HEIC})
VERSIONS = ("v1.2", "v1.3", "v1.4")
SOURCES = {"cog": "local", "generic": "mock"}
"""Providers that contract B has no word of its own for: a model of one's own, and a dummy."""

_DATA_URI = re.compile(r"data:[^,]{0,100},", re.ASCII)
_MODEL = re.compile(r"[\w.-]+(/[\w.-]+)?(:[\w.-]+)?", re.ASCII)
_MAX_PROMPT_CHARACTERS = 4000


class MobileRoute(APIRoute):
    """Every failure in contract B's own shape."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_or_tell(request: Request) -> Response:
            try:
                return await handle(request)
            except RelumeError as error:
                return _failure(error)
            except Exception as error:  # noqa: BLE001 (it is logged there)
                return _failure(of_fault(request, error))

        return handle_or_tell


def router(services: Services, gate: Gate) -> APIRouter:
    routes = APIRouter(
        tags=["B: one call"], route_class=MobileRoute, dependencies=[Depends(gate.require_key)]
    )
    photo_work = [Depends(gate.admit_job)]
    word_work = [Depends(gate.limit_rate)]

    async def photo_job(
        request: Request, body: dict[str, Any], model_id: str, scale: int, parameters: dict[str, Any]
    ) -> Response:
        recipe = build(model_id, strength=1.0, scale=scale, parameters=parameters)
        job = await services.jobs.submit(
            Submission(
                contract=CONTRACT,
                recipe=recipe,
                lane=services.catalog.lane(recipe),
                data=_image(body),
                parameters=parameters,
                formats=FORMATS,
                client=gate.client(request),
                idempotency_key=idempotency_key(request),
            )
        )
        return await answer(job)

    async def word_job(request: Request, model_id: str, parameters: dict[str, Any]) -> Response:
        recipe = build(model_id, strength=1.0, parameters=parameters)
        if not services.catalog.served_by(recipe):
            raise NoProvider("No service is configured that could do this.")
        job = await services.jobs.submit(
            Submission(
                contract=CONTRACT,
                recipe=recipe,
                lane=services.catalog.lane(recipe),
                parameters=parameters,
                client=gate.client(request),
                idempotency_key=idempotency_key(request),
            )
        )
        return await answer(job)

    async def answer(job: Job) -> Response:
        job = await services.jobs.wait(job.id, WAIT_SECONDS)
        if not job.status.has_ended:
            return _failure(JobUnfinished("This takes longer than usual. The result will be kept."), job)
        if job.status is not JobStatus.SUCCEEDED:
            return _failure(_error_of(job), job)
        told = {"success": True, "message": "Image processed successfully", "source": _source(job)}
        if job.result_text is not None:
            told |= {"text": job.result_text, "message": "Text generated successfully"}
        else:
            data = await services.jobs.read_result(job.id)
            kind = ImageFormat(str(job.result_format)).media_type
            told["image"] = f"data:{kind};base64,{base64.b64encode(data).decode()}"
        return JSONResponse(told | {"job_id": str(job.id)})

    @routes.post(
        "/api/ai/fix-old-photo",
        summary="Restore a portrait",
        dependencies=photo_work,
        openapi_extra=_documented(version={"enum": list(VERSIONS), "default": "v1.3"}),
    )
    async def fix_old_photo(request: Request) -> Response:
        body = await read_json(request, services.settings.max_image_bytes)
        version = _choice(body, "version", VERSIONS, "v1.3")
        return await photo_job(request, body, FIX_PHOTO_MODEL, 2, {"version": version})

    @routes.post(
        "/api/ai/hd-image",
        summary="Enlarge a photo",
        dependencies=photo_work,
        openapi_extra=_documented(scale={"enum": [2, 4], "default": 4}),
    )
    async def hd_image(request: Request) -> Response:
        body = await read_json(request, services.settings.max_image_bytes)
        return await photo_job(request, body, HD_IMAGE_MODEL, _choice(body, "scale", (2, 4), 4), {})

    @routes.post(
        "/api/ai/cartoonify",
        summary="Turn a photo into a cartoon",
        dependencies=photo_work,
        openapi_extra=_documented(style={"enum": list(services.catalog.cartoon_styles)}),
    )
    async def cartoonify(request: Request) -> Response:
        body = await read_json(request, services.settings.max_image_bytes)
        styles = services.catalog.cartoon_styles
        style = _choice(body, "style", styles, styles[0])
        return await photo_job(request, body, CARTOON_MODEL, 1, {"style": style})

    @routes.post(
        "/api/huggingface/text-generation",
        summary="Text from a prompt",
        dependencies=word_work,
        openapi_extra=_prompted(
            max_new_tokens={"type": "integer"}, temperature={"type": "number"}, model={"type": "string"}
        ),
    )
    async def text_generation(request: Request) -> Response:
        body = await read_json(request)
        parameters = {
            "prompt": _prompt(body),
            "max_new_tokens": _whole(body, "max_new_tokens", 1, 4096, 256),
            "temperature": _number(body, "temperature", 0.0, 2.0, 0.7),
            "model": _model(body),
        }
        return await word_job(request, TEXT_MODEL, parameters)

    @routes.post(
        "/api/huggingface/text-to-image",
        summary="A picture from a prompt",
        dependencies=word_work,
        openapi_extra=_prompted(
            width={"type": "integer"},
            height={"type": "integer"},
            model={"type": "string"},
            seed={"type": "integer"},
        ),
    )
    async def text_to_image(request: Request) -> Response:
        body = await read_json(request)
        parameters = {
            "prompt": _prompt(body),
            "width": _whole(body, "width", 64, 2048, 1024),
            "height": _whole(body, "height", 64, 2048, 1024),
            "model": _model(body),
            "seed": _whole(body, "seed", 0, 2**32 - 1, None),
        }
        return await word_job(request, PICTURE_MODEL, parameters)

    return routes


def _failure(error: RelumeError, job: Job | None = None) -> JSONResponse:
    told: dict[str, Any] = {"success": False, "error": error.detail}
    if job is not None:
        told["job_id"] = str(job.id)
    headers = {}
    if isinstance(error, (RateLimited, ServiceAway)):
        headers["Retry-After"] = str(error.extra["retry_after_seconds"])
    status = 502 if isinstance(error, AllProvidersFailed) else error.status
    return JSONResponse(told, status_code=status, headers=headers)


def _error_of(job: Job) -> RelumeError:
    detail = job.error_detail or "The job failed."
    kinds: list[type[RelumeError]] = [RelumeError]
    for kind in kinds:  # Grows while it is walked: the whole tree.
        kinds += kind.__subclasses__()
    found = next((kind for kind in kinds if kind.code == job.error_code), InternalError)
    return found(detail)


def _source(job: Job) -> str:
    """Who did the work: the provider of the last step that changed something."""
    parts = job.report or []
    worked = [part for part in parts if part["changed"]] or parts
    name = str(worked[-1]["provider"])
    return SOURCES.get(name, name)


def _image(body: dict[str, Any]) -> bytes:
    """Base64 with or without a `data:` prefix. Raises ImageMissing, InvalidInput."""
    image = body.get("image")
    if not isinstance(image, str) or not image:
        raise ImageMissing("No photo was sent. Send it as base64 in 'image'.")
    if found := _DATA_URI.match(image):
        image = image[found.end() :]
    text = "".join(image.split()).replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidInput("The photo in 'image' is not valid base64.") from error


def _choice(body: dict[str, Any], name: str, allowed: tuple[T, ...], default: T) -> T:
    value = body.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or value not in allowed:
        raise InvalidParameter(f"{name} must be {' or '.join(str(choice) for choice in allowed)}.")
    return allowed[allowed.index(value)]


def _prompt(body: dict[str, Any]) -> str:
    prompt = body.get("prompt")
    if not isinstance(prompt, str) or not 0 < len(prompt.strip()) <= _MAX_PROMPT_CHARACTERS:
        raise InvalidParameter(f"prompt must be a text of 1 to {_MAX_PROMPT_CHARACTERS} characters.")
    return prompt.strip()


def _model(body: dict[str, Any]) -> str | None:
    model = body.get("model")
    if model is None:
        return None
    if not isinstance(model, str) or len(model) > 100 or not _MODEL.fullmatch(model):
        raise InvalidParameter("model must look like owner/name or owner/name:version.")
    return model


def _whole(body: dict[str, Any], name: str, least: int, most: int, default: D) -> int | D:
    value = body.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise InvalidParameter(f"{name} must be a whole number from {least} to {most}.")
    return value


def _number(body: dict[str, Any], name: str, least: float, most: float, default: float) -> float:
    value = body.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise InvalidParameter(f"{name} must be a number from {least:g} to {most:g}.")
    return float(value)


def _documented(**options: dict[str, Any]) -> dict[str, Any]:
    image = {"type": "string", "description": "base64, with or without a data: prefix"}
    return _body({"image": image, **options}, required="image")


def _prompted(**options: dict[str, Any]) -> dict[str, Any]:
    return _body({"prompt": {"type": "string"}, **options}, required="prompt")


def _body(properties: dict[str, Any], *, required: str) -> dict[str, Any]:
    schema = {"type": "object", "required": [required], "properties": properties}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}
