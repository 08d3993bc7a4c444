"""The models of Replicate (and of Cog, where they run at home): pinned versions, and how each is asked."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

from relume.picture_models import FLUX_SCHNELL, PICTURE_MODELS, STABLE_DIFFUSION
from relume.tasks import Cartoonify, RestoreFaces, Task, TextToImage, Upscale

GFPGAN = "tencentarc/gfpgan"
REAL_ESRGAN = "nightmareai/real-esrgan"
VTOONIFY = "412392713/vtoonify"

_REFERENCE = re.compile(r"([\w.-]+/[\w.-]+)(?::([0-9a-f]{64}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class HostedModel:
    """A model by its address: `owner/name`, and the version that is asked for (None: an official model)."""

    address: str
    family: str
    """The name users know it by."""
    version: str | None = None

    @property
    def short_version(self) -> str:
        return self.version[:12] if self.version else "official"


MODELS = {
    model.address: model
    for model in (
        HostedModel(GFPGAN, "GFPGAN", "0fbacf7afc6c144e5be9767cff80f25aff23e52b0708f17e20f9879b2f21516c"),
        HostedModel(
            REAL_ESRGAN, "Real-ESRGAN", "f121d640bd286e1fdc67f9799164c1d5be36ff74576ee11c803ae5b665dd46aa"
        ),
        HostedModel(VTOONIFY, "VToonify", "54daf6387dc7c4d41ed5238e28e06277a6ee9027af5cd16486b7e0c261ba2522"),
        HostedModel(FLUX_SCHNELL, "FLUX schnell"),
        HostedModel(STABLE_DIFFUSION, "Stable Diffusion", PICTURE_MODELS[STABLE_DIFFUSION].version),
    )
}
"""Pinned, so that a result can be made again, and a new version cannot change what users get overnight."""

GFPGAN_VERSIONS = frozenset({"v1.2", "v1.3", "v1.4"})
MAX_UPSCALE = 10
VTOONIFY_STYLES = {"comic": "comic1", "cartoon": "cartoon1", "arcane": "arcane1", "pixar": "pixar"}
"""Our words for those of VToonify's styles that it shares with us; it is not asked for any other."""
_VTOONIFY_DEGREE = 0.5

_FLUX_RATIOS = ("1:1", "16:9", "21:9", "3:2", "2:3", "4:5", "5:4", "3:4", "4:3", "9:16", "9:21")
_FLUX_QUARTER_PIXELS = 500_000
"""Up to here the quarter-megapixel size is the nearer one."""
_SD_STEP, _SD_MAX = 64, 1024


@dataclass(frozen=True, slots=True)
class Order:
    """What to ask of which model. `image_field` is the input that takes the photo, if it takes one."""

    model: HostedModel
    input: dict[str, Any]
    image_field: str | None = None


def order_for(task: Task) -> Order | None:
    """How a task is put to a model, or None when no model here does it."""
    match task:
        case RestoreFaces(version=version, scale=scale) if version in GFPGAN_VERSIONS and not task.is_choosy:
            return Order(MODELS[GFPGAN], {"version": version, "scale": scale}, "img")
        case Upscale(scale=scale) if scale <= MAX_UPSCALE:
            return Order(MODELS[REAL_ESRGAN], {"scale": scale, "face_enhance": False}, "image")
        case Cartoonify(style=style) if style in VTOONIFY_STYLES:
            degree = {"style_type": VTOONIFY_STYLES[style], "style_degree": _VTOONIFY_DEGREE}
            return Order(MODELS[VTOONIFY], degree, "image")
        case TextToImage():
            return _picture(task)
        case _:
            return None


def _picture(task: TextToImage) -> Order | None:
    model = _named(task.model or FLUX_SCHNELL)
    if model is None:
        return None
    asked: dict[str, Any] = {"prompt": task.prompt} | task.options()
    if task.go_fast is not None:
        asked["go_fast"] = task.go_fast
    if model.address.startswith("black-forest-labs/"):
        ratio = _nearest_ratio(task.width, task.height)
        asked |= {"aspect_ratio": ratio, "output_format": task.output_format or "png"}
        if model.address == FLUX_SCHNELL:
            is_small = task.width * task.height <= _FLUX_QUARTER_PIXELS
            asked |= {"num_outputs": 1, "megapixels": "0.25" if is_small else "1"}
    elif model.address == STABLE_DIFFUSION:
        asked |= {"width": _sd_side(task.width), "height": _sd_side(task.height), "num_outputs": 1}
    else:
        asked |= {"width": task.width, "height": task.height}
    return Order(model, asked)


def _named(reference: str) -> HostedModel | None:
    """A model by `owner/name[:version]`: ours with its pinned version, any other as it is called."""
    found = _REFERENCE.fullmatch(reference)
    if found is None:
        return None
    address, version = found[1], found[2]
    known = MODELS.get(address)
    if known is not None and version is None:
        return known
    return HostedModel(address, known.family if known else address.partition("/")[2], version)


def _nearest_ratio(width: int, height: int) -> str:
    def distance(ratio: str) -> float:
        across, _, down = ratio.partition(":")
        return abs(math.log(int(across) / int(down)) - math.log(width / height))

    return min(_FLUX_RATIOS, key=distance)


def _sd_side(pixels: int) -> int:
    return min(max(round(pixels / _SD_STEP), 1) * _SD_STEP, _SD_MAX)
