"""What can be asked for, as small frozen values. A task says what is wanted, never how or by whom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

FaceRegion = Literal["face", "eyes"]


@dataclass(frozen=True, slots=True)
class RestoreFaces:
    """Restore a portrait: faces first, and the photo around them. The size times `scale`.

    The models this names (GFPGAN and its kind) always treat the whole photo. Where the built-in
    restorer stands in, faces get the same gentle repair as everything else: nothing is invented.
    """

    name: ClassVar[str] = "restore_faces"
    version: str = "v1.4"
    scale: int = 1
    region: FaceRegion = "face"
    """How much of each face. Of the rest of a face nothing is changed."""
    faces: tuple[int, ...] | None = None
    """Which faces, counted from 0 by where their middles lie: left to right, then top to bottom. None: all."""

    @property
    def is_choosy(self) -> bool:
        """Whether it asks for less than all of every face, which models that take whole photos cannot do."""
        return self.region != "face" or self.faces is not None


@dataclass(frozen=True, slots=True)
class Upscale:
    """Enlarge to exactly `scale` times the width and height."""

    name: ClassVar[str] = "upscale"
    scale: int = 2


@dataclass(frozen=True, slots=True)
class RepairDamage:
    """Find scratches, creases and dust, and fill them from what surrounds them."""

    name: ClassVar[str] = "repair_damage"


@dataclass(frozen=True, slots=True)
class Denoise:
    """Remove noise, film grain and the blocks of JPEG compression, as far as they are there."""

    name: ClassVar[str] = "denoise"


@dataclass(frozen=True, slots=True)
class BalanceColour:
    """Undo fading and colour casts. Greyscale and sepia photos stay what they are."""

    name: ClassVar[str] = "balance_colour"


@dataclass(frozen=True, slots=True)
class Sharpen:
    """Give back edge contrast that blur took, without halos."""

    name: ClassVar[str] = "sharpen"


@dataclass(frozen=True, slots=True)
class Cartoonify:
    """Turn a photo into a cartoon of the same size."""

    name: ClassVar[str] = "cartoonify"
    style: str = "comic"


@dataclass(frozen=True, slots=True)
class TextToImage:
    """Make a picture from a prompt. Needs no photo."""

    name: ClassVar[str] = "text_to_image"
    prompt: str
    width: int = 1024
    height: int = 1024
    model: str | None = None
    """`owner/name[:version]`, or None for the provider's default."""
    exact_model: bool = False
    """Whether `model` is Replicate's, and only who has that same model may draw: no other one, and no mock."""
    seed: int | None = None
    negative_prompt: str | None = None
    num_inference_steps: int | None = None
    guidance_scale: float | None = None
    scheduler: str | None = None
    go_fast: bool | None = None
    """Whether to trade some quality for speed, where a model can."""
    output_format: str | None = None
    """What the model is to encode its picture as. The result is a PNG all the same."""

    def options(self) -> dict[str, Any]:
        """What is asked for of how the model works, by the names that models share; nothing that is unset."""
        named = {
            "seed": self.seed,
            "negative_prompt": self.negative_prompt,
            "num_inference_steps": self.num_inference_steps,
            "guidance_scale": self.guidance_scale,
            "scheduler": self.scheduler,
        }
        return {name: value for name, value in named.items() if value is not None}


@dataclass(frozen=True, slots=True)
class GenerateText:
    """Continue or answer a prompt. Needs no photo, and gives text."""

    name: ClassVar[str] = "generate_text"
    prompt: str
    max_new_tokens: int = 256
    temperature: float = 0.7
    model: str | None = None


Task = (
    RestoreFaces
    | Upscale
    | RepairDamage
    | Denoise
    | BalanceColour
    | Sharpen
    | Cartoonify
    | TextToImage
    | GenerateText
)
