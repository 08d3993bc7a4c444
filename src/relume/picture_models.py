"""The models that make pictures from prompts: what each can be asked for, and which ones clients may name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from relume.errors import UnknownModel

FLUX_SCHNELL = "black-forest-labs/flux-schnell"
STABLE_DIFFUSION = "stability-ai/stable-diffusion"
ANY_MODEL = "*"
"""In the list of allowed models: all of them."""

REFERENCE = re.compile(r"(?P<address>[\w.-]+/[\w.-]+)(?::(?P<version>[\w.-]+))?", re.ASCII)
"""`owner/name`, or `owner/name:version`."""
MAX_REFERENCE_CHARACTERS = 150


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number, and a multiple of `step`."""

    least: int
    most: int
    step: int = 1

    @property
    def wanted(self) -> str:
        if self.least == self.most:
            return str(self.least)
        kind = "a whole number" if self.step == 1 else f"a multiple of {self.step}"
        return f"{kind} from {self.least} to {self.most}"

    def accepts(self, value: object) -> bool:
        is_whole = isinstance(value, int) and not isinstance(value, bool)
        return is_whole and self.least <= value <= self.most and value % self.step == 0  # type: ignore[operator]


@dataclass(frozen=True, slots=True)
class Number:
    least: float
    most: float

    @property
    def wanted(self) -> str:
        return f"a number from {self.least:g} to {self.most:g}"

    def accepts(self, value: object) -> bool:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return is_number and self.least <= value <= self.most  # type: ignore[operator]


@dataclass(frozen=True, slots=True)
class OneOf:
    choices: tuple[str | bool, ...]

    @property
    def wanted(self) -> str:
        names = [str(choice).lower() if isinstance(choice, bool) else choice for choice in self.choices]
        return " or ".join([", ".join(names[:-1]), names[-1]] if names[1:] else names)

    def accepts(self, value: object) -> bool:
        return any(
            value is choice or (isinstance(choice, str) and value == choice) for choice in self.choices
        )


@dataclass(frozen=True, slots=True)
class Words:
    most_characters: int

    @property
    def wanted(self) -> str:
        return f"a text of 1 to {self.most_characters} characters"

    def accepts(self, value: object) -> bool:
        return isinstance(value, str) and 0 < len(value.strip()) <= self.most_characters and is_plain(value)


Rule = Whole | Number | OneOf | Words


@dataclass(frozen=True, slots=True)
class PictureModel:
    """A model by its address, `owner/name`, and the names and bounds of what it takes beside the prompt."""

    address: str
    options: Mapping[str, Rule]
    version: str | None = None
    """The one that is asked for where a client names none; None for an official model, which has no choice."""
    side_pixels: int = 1024
    """Width and height where a client names neither."""
    huggingface: str | None = None
    """The name of the same weights at Hugging Face."""


_SEED = Whole(0, 2**32 - 1)
_ONE_PICTURE = Whole(1, 1)
_RATIOS = ("1:1", "16:9", "21:9", "3:2", "2:3", "4:5", "5:4", "3:4", "4:3", "9:16", "9:21")
_SCHEDULERS = ("DDIM", "K_EULER", "DPMSolverMultistep", "K_EULER_ANCESTRAL", "PNDM", "KLMS")
_NEGATIVE_PROMPT = Words(2000)

PICTURE_MODELS = {
    model.address: model
    for model in (
        PictureModel(
            FLUX_SCHNELL,
            {
                "width": Whole(64, 2048),
                "height": Whole(64, 2048),
                "aspect_ratio": OneOf(_RATIOS),
                "megapixels": OneOf(("1", "0.25")),
                "num_outputs": _ONE_PICTURE,
                "num_inference_steps": Whole(1, 4),
                "seed": _SEED,
                "go_fast": OneOf((True, False)),
                "output_format": OneOf(("png", "webp", "jpg")),
            },
            huggingface="black-forest-labs/FLUX.1-schnell",
        ),
        PictureModel(
            STABLE_DIFFUSION,
            {
                "width": Whole(64, 1024, step=64),
                "height": Whole(64, 1024, step=64),
                "negative_prompt": _NEGATIVE_PROMPT,
                "num_outputs": _ONE_PICTURE,
                "num_inference_steps": Whole(1, 100),
                "guidance_scale": Number(1, 20),
                "scheduler": OneOf(_SCHEDULERS),
                "seed": _SEED,
            },
            version="ac732df83cea7fff18b8472768c88ad041fa750ff7682a21affe81863cbe77e4",
            side_pixels=768,
        ),
    )
}
"""After the models' own schemas at Replicate; steps are bounded, because they are what costs."""

_UNLISTED: Mapping[str, Rule] = {
    "width": Whole(64, 2048),
    "height": Whole(64, 2048),
    "negative_prompt": _NEGATIVE_PROMPT,
    "num_outputs": _ONE_PICTURE,
    "num_inference_steps": Whole(1, 100),
    "guidance_scale": Number(0, 20),
    "scheduler": Words(50),
    "seed": _SEED,
}
"""What models that we do not know usually take. Each gets only what a client names, and its size."""


def picture_model(reference: str) -> PictureModel:
    """The row of `owner/name[:version]`; one with the usual options where there is none."""
    address = reference.partition(":")[0]
    return PICTURE_MODELS.get(address) or PictureModel(address, _UNLISTED)


def check_allowed(reference: str, allowed: Iterable[str]) -> None:
    """Whether a client may have this model run at the operator's cost. Raises UnknownModel.

    An `owner/name` in `allowed` stands for the version that is pinned here; any other must be listed itself,
    because a version can be anybody's, whatever name stands before it.
    """
    names = tuple(allowed)
    pinned = picture_model(reference)
    is_pinned = pinned.version is not None and reference == f"{pinned.address}:{pinned.version}"
    if ANY_MODEL in names or reference in names or (is_pinned and pinned.address in names):
        return
    raise UnknownModel(f"This model may not be used here. Allowed are: {', '.join(names) or 'none'}.")


def is_plain(text: str) -> bool:
    """Whether a text can be stored and sent: no NUL, no half of a surrogate pair."""
    return "\0" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)
