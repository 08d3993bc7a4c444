"""What contract D reads from its form, and how its documentation describes it."""

from __future__ import annotations

import math
from typing import Any

from starlette.datastructures import FormData

from relume.errors import InvalidParameter
from relume.http import local_only
from relume.recipes import SCALES, STRENGTH_DEFAULT, STRENGTH_MAX, STRENGTH_MIN, Recipe, build
from relume.wiring.services import Services


def recipe_of(form: FormData, default_model: str, *, stays_local: bool) -> Recipe:
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
    return build(model_id, strength=strength, scale=int(scale), local_only=stays_local)


def _text(form: FormData, name: str) -> str | None:
    value = form.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not value.strip():
        raise InvalidParameter(f"{name} must not be empty.")
    return value.strip()


async def webhook_url_of(form: FormData, services: Services) -> str | None:
    """Where to tell of the job's end. Raises InvalidParameter, UrlRefused."""
    url = _text(form, "webhook_url")
    if url is None:
        return None
    if services.webhooks is None:
        raise InvalidParameter(
            "webhook_url cannot be used here: this service has no WEBHOOK_SECRET to sign with."
        )
    await services.policy.check(url)
    return url


def form_schema(default_model: str) -> dict[str, Any]:
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
        "local_only": local_only.FIELD,
        "webhook_url": {"type": "string", "format": "uri", "description": "Told when the job has ended"},
    }
    schema = {"type": "object", "required": ["image"], "properties": properties}
    return {"required": True, "content": {"multipart/form-data": {"schema": schema}}}
