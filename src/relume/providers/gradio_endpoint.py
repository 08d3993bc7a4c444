"""What a gradio server tells of its endpoints, and how a photo fits in. Payload in, payload out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from relume.errors import OutputInvalid, ProviderRefused

_NOT_AVAILABLE = "The Hugging Face Space is not available."
_IMAGES = frozenset({"Image", "ImageSlider", "Gallery"})
_SCALE = re.compile(r"scal|factor|resolution|outscale|upsampl", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A named endpoint that takes one photo."""

    name: str
    parameters: Sequence[Mapping[str, Any]]

    def arguments(self, file: Any, scale: int) -> dict[str, Any]:
        """A value for each parameter that needs one: the photo, the scale, defaults for the rest.

        Raises ProviderRefused where a parameter has neither a default nor choices.
        """
        found: dict[str, Any] = {}
        photo = next(parameter for parameter in self.parameters if parameter["component"] == "Image")
        for parameter in self.parameters:
            name = parameter["parameter_name"]
            if parameter is photo:
                found[name] = file
            elif (chosen := _scale_value(parameter, scale)) is not None:
                found[name] = chosen
            elif not parameter["parameter_has_default"]:
                found[name] = _first_choice(parameter)
        return found


def choose(info: Any, name: str | None) -> Endpoint:
    """The endpoint called `name`, or the first that takes a photo and gives one. Raises ProviderRefused."""
    try:
        named: Mapping[str, Any] = info["named_endpoints"]
        if name is not None:
            named = {name: named["/" + name.lstrip("/")]}
        for path, endpoint in named.items():
            parameters = endpoint["parameters"]
            takes = [parameter["component"] == "Image" for parameter in parameters]
            gives = [output["component"] in _IMAGES for output in endpoint["returns"]]
            if any(takes) and any(gives):
                return Endpoint("/" + path.lstrip("/"), parameters)
    except (LookupError, TypeError, AttributeError) as error:
        raise ProviderRefused(_NOT_AVAILABLE) from error
    raise ProviderRefused(_NOT_AVAILABLE)


def last_file(result: Any) -> str:
    """The server's path of the picture in an endpoint's result. Raises OutputInvalid.

    Of several outputs the first with a file counts (a second one offers the download); of several files in one
    output the last (a slider shows before and after).
    """
    outputs = result if isinstance(result, tuple) else (result,)
    for output in outputs:
        paths = list(_paths(output))
        if paths:
            return paths[-1]
    raise OutputInvalid("The Hugging Face Space gave no picture.")


def _paths(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("path"), str):
            yield value["path"]
        else:
            for part in value.values():
                yield from _paths(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _paths(part)


def _scale_value(parameter: Mapping[str, Any], scale: int) -> Any:
    """The scale as this parameter takes it (4, or a choice such as "4x"), or None if it is about something else."""
    label = f"{parameter['parameter_name']} {parameter.get('label', '')}"
    if not _SCALE.search(label):
        return None
    kind = parameter.get("type", {})
    if kind.get("type") in {"number", "integer"}:
        return scale
    choices = [choice for choice in kind.get("enum", ()) if re.findall(r"\d+", str(choice)) == [str(scale)]]
    return choices[0] if choices else None


def _first_choice(parameter: Mapping[str, Any]) -> Any:
    choices = parameter.get("type", {}).get("enum")
    if not choices:
        raise ProviderRefused("The Hugging Face Space needs more than a photo.")
    return choices[0]
