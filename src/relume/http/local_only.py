"""`local_only`: a request's wish, or its key's, that nothing of the photo leaves this machine."""

from __future__ import annotations

from typing import Any

from fastapi import Request

from relume.errors import InvalidParameter
from relume.http.gate import Gate

FIELD: dict[str, Any] = {
    "type": "boolean",
    "default": False,
    "description": "Only what works on this machine may do it; 503 where nothing here can",
}
"""For OpenAPI: what `local_only` reads."""


def local_only(value: object, gate: Gate, request: Request) -> bool:
    """From a form, where it is a text, or from JSON; None is left out. Raises InvalidParameter."""
    if isinstance(value, str) and value.strip().lower() in ("true", "false"):
        value = value.strip().lower() == "true"
    if not isinstance(value, bool | None):
        raise InvalidParameter("local_only must be true or false.")
    return bool(value) or gate.keeps_local(request)
