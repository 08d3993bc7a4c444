"""Reading request bodies: bounded while they arrive, and every fault told in a sentence."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import Request
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.types import Message

from relume.errors import ImageMissing, ImageTooLarge, InvalidInput, RelumeError

_FORM_OVERHEAD_BYTES = 64 * 1024
"""What the fields and the boundaries of a form may take beside the image."""
_MAX_JSON_BYTES = 64 * 1024
_MAX_FIELDS = 20
_IDEMPOTENCY_KEY_CHARACTERS = 255

IDEMPOTENCY_PARAMETER: dict[str, Any] = {
    "in": "header",
    "name": "Idempotency-Key",
    "description": "The same key and request give the same job; the same key with another request is 400.",
    "schema": {"type": "string", "maxLength": _IDEMPOTENCY_KEY_CHARACTERS},
}
"""For OpenAPI: what `idempotency_key` reads."""


@asynccontextmanager
async def read_form(request: Request, max_image_bytes: int) -> AsyncIterator[FormData]:
    """A multipart form with at most one file. Raises InvalidInput, ImageTooLarge."""
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise InvalidInput("Send the photo as multipart/form-data, in a field named 'image'.")
    room = max_image_bytes + _FORM_OVERHEAD_BYTES
    limited = Request(request.scope, _limit(request, room, _too_large(max_image_bytes)))
    try:
        form = await limited.form(max_files=1, max_fields=_MAX_FIELDS, max_part_size=_FORM_OVERHEAD_BYTES)
    except HTTPException as error:
        raise InvalidInput(
            "The form cannot be read. Send one photo in a field named 'image', and the options beside it."
        ) from error
    try:
        yield form
    finally:
        await form.close()


async def image_of(form: FormData, field: str = "image") -> bytes:
    """The bytes of the one file. Raises ImageMissing."""
    upload = form.get(field)
    if not isinstance(upload, UploadFile):
        raise ImageMissing(f"No photo was sent. Send it as a file in a field named '{field}'.")
    return await upload.read()


def filename_of(form: FormData, field: str = "image") -> str | None:
    """What the client calls the one file, as it came."""
    upload = form.get(field)
    return upload.filename if isinstance(upload, UploadFile) else None


async def read_json(request: Request, max_image_bytes: int = 0) -> dict[str, Any]:
    """A JSON object, with room for one image in base64. Raises InvalidInput, ImageTooLarge."""
    too_large: RelumeError = _too_large(max_image_bytes) if max_image_bytes else _too_long()
    limited = Request(request.scope, _limit(request, max_image_bytes * 4 // 3 + _MAX_JSON_BYTES, too_large))
    try:
        found = json.loads(await limited.body())
    except (ValueError, RecursionError) as error:
        raise InvalidInput("The request's body must be JSON.") from error
    if not isinstance(found, dict):
        raise InvalidInput("The request's body must be a JSON object.")
    return found


async def read_small(request: Request) -> bytes:
    """A body of no more than what a JSON object without an image may have. Raises InvalidInput."""
    return await Request(request.scope, _limit(request, _MAX_JSON_BYTES, _too_long())).body()


def idempotency_key(request: Request) -> str | None:
    """Raises InvalidInput for a key that is empty or too long."""
    key = request.headers.get("idempotency-key")
    if key is not None and not 0 < len(key.strip()) <= _IDEMPOTENCY_KEY_CHARACTERS:
        raise InvalidInput(f"Idempotency-Key must have 1 to {_IDEMPOTENCY_KEY_CHARACTERS} characters.")
    return key


def _too_long() -> InvalidInput:
    return InvalidInput(f"The request is too long; at most {_MAX_JSON_BYTES // 1024} KB are allowed.")


def _too_large(max_image_bytes: int) -> ImageTooLarge:
    return ImageTooLarge(f"The photo is too large; at most {max_image_bytes / 1e6:g} MB are allowed.")


def _limit(request: Request, max_bytes: int, too_large: Exception) -> Callable[[], Awaitable[Message]]:
    """The request's `receive`, which raises `too_large` as soon as more has come or is announced."""
    announced = request.headers.get("content-length", "")
    received = 0

    async def receive() -> Message:
        nonlocal received
        if announced.isdigit() and int(announced) > max_bytes:
            raise too_large
        message = await request.receive()
        received += len(message.get("body", b""))
        if received > max_bytes:
            raise too_large
        return message

    return receive
