"""What contract B reads from a JSON body, and how its documentation describes one."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any, TypeVar

from relume.errors import ImageMissing, InvalidInput, InvalidParameter
from relume.picture_models import Words, check_allowed

T = TypeVar("T")
D = TypeVar("D", int, None)

_DATA_URI = re.compile(r"data:[^,]{0,100},", re.ASCII)
_MODEL = re.compile(r"[\w.-]+(/[\w.-]+)?(:[\w.-]+)?", re.ASCII)
_MAX_PROMPT_CHARACTERS = 4000


def photo_of(body: dict[str, Any]) -> bytes:
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


def choice(body: dict[str, Any], name: str, allowed: tuple[T, ...], default: T) -> T:
    value = body.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or value not in allowed:
        raise InvalidParameter(f"{name} must be {' or '.join(str(choice) for choice in allowed)}.")
    return allowed[allowed.index(value)]


def prompt(body: dict[str, Any]) -> str:
    text = body.get("prompt")
    if not Words(_MAX_PROMPT_CHARACTERS).accepts(text):
        raise InvalidParameter(f"prompt must be a text of 1 to {_MAX_PROMPT_CHARACTERS} characters.")
    return str(text).strip()


def model(body: dict[str, Any]) -> str | None:
    model = body.get("model")
    if model is None:
        return None
    if not isinstance(model, str) or len(model) > 100 or not _MODEL.fullmatch(model):
        raise InvalidParameter("model must look like owner/name or owner/name:version.")
    return model


def allowed_model(body: dict[str, Any], allowed: tuple[str, ...]) -> str | None:
    """A model that runs at the operator's cost. Raises InvalidParameter, UnknownModel."""
    named = model(body)
    if named is not None:
        check_allowed(named, allowed)
    return named


def whole(body: dict[str, Any], name: str, least: int, most: int, default: D) -> int | D:
    value = body.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise InvalidParameter(f"{name} must be a whole number from {least} to {most}.")
    return value


def number(body: dict[str, Any], name: str, least: float, most: float, default: float) -> float:
    value = body.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise InvalidParameter(f"{name} must be a number from {least:g} to {most:g}.")
    return float(value)
