"""How contract B is described in `/openapi.json`: its bodies, and its errors in their own shape."""

from __future__ import annotations

from typing import Any

from relume.errors import (
    AllProvidersFailed,
    ImageDimensions,
    ImageMissing,
    ImageTooLarge,
    ImageUnreadable,
    InternalError,
    InvalidInput,
    InvalidParameter,
    JobUnfinished,
    KeyMissing,
    KeyWrong,
    NoProvider,
    QuotaExceeded,
    RateLimited,
    RelumeError,
    RestoreDisabled,
    ServiceAway,
    UnsupportedFormat,
)
from relume.http.local_only import FIELD

STATUSES: dict[type[RelumeError], int] = {AllProvidersFailed: 502}
"""Where contract B's status is not the error's own."""

_ALWAYS = (InvalidInput, InvalidParameter, KeyMissing, KeyWrong, RateLimited, QuotaExceeded)
_WORK = (InternalError, ServiceAway, AllProvidersFailed, JobUnfinished)


def failures(*errors: type[RelumeError]) -> dict[int | str, dict[str, Any]]:
    """OpenAPI responses for the errors an endpoint can end in."""
    found: dict[int | str, dict[str, Any]] = {}
    for error in errors:
        entry = found.setdefault(STATUSES.get(error, error.status), {"description": "", "content": {}})
        entry["description"] = "; ".join(filter(None, (entry["description"], error.title)))
        body = entry["content"].setdefault(
            "application/json", {"schema": {"$ref": "#/components/schemas/Failure"}, "examples": {}}
        )
        told = {"success": False, "error": "A sentence that says what was wrong and what is allowed."}
        body["examples"][error.code] = {"value": told}
    return found


PHOTO_FAILURES = failures(
    *_ALWAYS,
    ImageMissing,
    ImageUnreadable,
    ImageDimensions,
    ImageTooLarge,
    UnsupportedFormat,
    *_WORK,
    RestoreDisabled,
    NoProvider,
)
WORD_FAILURES = failures(*_ALWAYS, *_WORK, NoProvider)


def photo_body(**options: dict[str, Any]) -> dict[str, Any]:
    image = {"type": "string", "description": "base64, with or without a data: prefix"}
    return _body({"image": image, **options}, required="image")


def prompt_body(**options: dict[str, Any]) -> dict[str, Any]:
    return _body({"prompt": {"type": "string"}, **options}, required="prompt")


def _body(properties: dict[str, Any], *, required: str) -> dict[str, Any]:
    properties = properties | {"local_only": FIELD}
    schema = {"type": "object", "required": [required], "properties": properties}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}
