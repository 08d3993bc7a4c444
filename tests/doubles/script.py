"""What a double is told to do, as plain values: they also travel as JSON to one in another process."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

Call = Literal["create", "get", "cancel", "upload", "delete", "output"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Fault(_Strict):
    """The next `times` calls of a kind get this answer instead of their own."""

    call: Call
    times: int = 1
    status: int = 500
    headers: dict[str, str] = {}
    body: str = '{"detail": "Something went wrong"}'
    breaks_off: bool = False
    """Close the connection without an answer, after the call took effect."""
    delay_seconds: float = 0.0


class Plan(_Strict):
    """How predictions go: the next `times` of `model`, or of any, for ever where `times` is None."""

    model: str | None = None
    times: int | None = 1
    ends: Literal["succeeded", "failed", "canceled", "aborted", "never"] = "succeeded"
    output: Literal[
        "image", "blank", "input", "null", "empty", "html", "elsewhere", "data", "object", "erased"
    ] = "image"
    as_list: bool | None = None
    """None: as the model does."""
    latency_seconds: float | None = None
    error: str = "CUDA out of memory in /src/predict.py"


class Received(_Strict):
    """A call as it came."""

    method: str
    path: str
    authorization: str | None
    cancel_after: str | None
