"""What contract E's clients may ask for: the body of `POST /api/v1/generate`, checked and put into a task's words."""

from __future__ import annotations

import json
import math
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from relume.errors import InvalidParameter
from relume.picture_models import (
    FLUX_SCHNELL,
    MAX_REFERENCE_CHARACTERS,
    REFERENCE,
    PictureModel,
    is_plain,
    picture_model,
)

MAX_PROMPT_CHARACTERS = 4000
_PIXELS = {"1": 1024 * 1024, "0.25": 512 * 512}
_SIDE_STEP = 16
_FIELDS = "prompt, model_name, parameters and local_only"


def _decoded(parameters: object) -> object:
    """Parameters also come as JSON in a string."""
    if not isinstance(parameters, str):
        return {} if parameters is None else parameters
    try:
        return json.loads(parameters)
    except (ValueError, RecursionError) as error:
        raise ValueError("parameters must be a JSON object, or a string that holds one") from error


class GenerateRequest(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    prompt: Annotated[str, Field(max_length=MAX_PROMPT_CHARACTERS, description="What the picture is to show")]
    model_name: Annotated[
        str, Field(description="`owner/name` or `owner/name:version`, one of GENERATION_MODELS")
    ] = FLUX_SCHNELL
    parameters: Annotated[
        dict[str, Any],
        BeforeValidator(_decoded, json_schema_input_type=str | dict[str, Any] | None),
        Field(description="What the model takes beside the prompt: an object, or a string with its JSON"),
    ] = {}
    local_only: Annotated[
        bool, Field(description="Only what works on this machine may do it; 503 where nothing here can")
    ] = False


def read_request(body: dict[str, Any]) -> GenerateRequest:
    """Raises InvalidParameter."""
    try:
        request = GenerateRequest.model_validate(body)
    except ValidationError as error:
        raise InvalidParameter(" ".join(map(_sentence, error.errors(include_url=False)))) from None
    if not request.prompt.strip() or not is_plain(request.prompt):
        raise InvalidParameter(f"prompt must be a text of 1 to {MAX_PROMPT_CHARACTERS} characters.")
    name = request.model_name
    if len(name) > MAX_REFERENCE_CHARACTERS or not REFERENCE.fullmatch(name):
        raise InvalidParameter("model_name must look like owner/name or owner/name:version.")
    return request


def task_parameters(request: GenerateRequest) -> dict[str, Any]:
    """The fields of a `TextToImage`, for the job to keep. Raises InvalidParameter where the model takes no such."""
    model = picture_model(request.model_name)
    asked = {name: value for name, value in request.parameters.items() if value is not None}
    for name, value in asked.items():
        _check(model, name, value)
    width, height = _size(model, asked)
    for name in ("width", "height", "aspect_ratio", "megapixels", "num_outputs"):
        asked.pop(name, None)
    return {
        "prompt": request.prompt.strip(),
        "model": request.model_name,
        "width": width,
        "height": height,
    } | asked


def _check(model: PictureModel, name: str, value: object) -> None:
    rule = model.options.get(name)
    if rule is None:
        known = ", ".join(model.options)
        shown = name[:40] if is_plain(name) else "this"
        raise InvalidParameter(f"{model.address} takes no parameter '{shown}'; it takes {known}.")
    if rule.accepts(value):
        return
    reason = " Each job makes one picture." if name == "num_outputs" else ""
    raise InvalidParameter(f"{name} must be {rule.wanted} for {model.address}.{reason}")


def _size(model: PictureModel, asked: dict[str, Any]) -> tuple[int, int]:
    """Width and height in pixels, from themselves or from a shape and an area. Raises InvalidParameter."""
    by_side, by_shape = {"width", "height"} & asked.keys(), {"aspect_ratio", "megapixels"} & asked.keys()
    if by_side and by_shape:
        raise InvalidParameter("Give either width and height, or aspect_ratio and megapixels.")
    if not by_shape:
        return asked.get("width", model.side_pixels), asked.get("height", model.side_pixels)
    across, _, down = asked.get("aspect_ratio", "1:1").partition(":")
    area = _PIXELS[asked.get("megapixels", "1")]
    width = math.sqrt(area * int(across) / int(down))
    return _rounded(width), _rounded(area / width)


def _rounded(side: float) -> int:
    return round(side / _SIDE_STEP) * _SIDE_STEP


def _sentence(fault: Any) -> str:
    if not fault["loc"]:  # A field's name that is no text at all.
        return f"The body must be an object with {_FIELDS}."
    name = str(fault["loc"][0])
    if fault["type"] == "extra_forbidden":
        return f"'{name[:40]}' is no field of this request; it takes {_FIELDS}."
    if fault["type"] == "missing":
        return f"{name} is missing."
    if fault["type"] == "value_error":
        return f"{fault['msg'].removeprefix('Value error, ')}."
    wanted = {"prompt": f"a text of 1 to {MAX_PROMPT_CHARACTERS} characters", "parameters": "a JSON object"}
    wanted["local_only"] = "true or false"
    return f"{name} must be {wanted.get(name, 'a text')}."
