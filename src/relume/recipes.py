"""Named recipes: the ordered tasks behind each model id. A model id of contract D names a recipe."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from relume.errors import InvalidParameter, UnknownModel
from relume.tasks import (
    BalanceColour,
    Cartoonify,
    Denoise,
    GenerateText,
    RepairDamage,
    RestoreFaces,
    Sharpen,
    Task,
    TextToImage,
    Upscale,
)

STRENGTH_MIN = 0.1
STRENGTH_MAX = 1.0
STRENGTH_DEFAULT = 0.6
SCALES = (1, 2, 4)

RESTORE_URL_MODEL = "restoration/gfpgan-real-esrgan"
"""Contract A's fixed pipeline."""
FIX_PHOTO_MODEL = "mobile/fix-old-photo"
HD_IMAGE_MODEL = "mobile/hd-image"
CARTOON_MODEL = "mobile/cartoonify"
PICTURE_MODEL = "mobile/text-to-image"
TEXT_MODEL = "mobile/text-generation"
"""Contract B's, one for each path."""
GENERATION_MODEL = "generation/text-to-image"
"""Contract E's. Its parameters name the model that draws."""
ENHANCE_FACES_MODEL = "enhance/faces"
ENHANCE_MODEL = "enhance/upscale"
"""Contract C's, with `face_enhance` and without."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What one job is to do."""

    model_id: str
    tasks: tuple[Task, ...]
    strength: float
    """How much of the restoration is mixed over the original, 0.1 to 1.0."""
    scale: int
    """The result's width and height are the upright input's times this, exactly."""
    providers: tuple[str, ...] | None = None
    """Only these providers may do the work; None leaves the choice to the settings' chains."""
    exact_size: bool = True
    """Whether the result must be `scale` times the input to the pixel; else it keeps what the model made."""
    local_only: bool = False
    """Whether only providers on this machine may do the work: no fallback leaves it either."""

    @property
    def needs_photo(self) -> bool:
        return not isinstance(self.tasks[0], TextToImage | GenerateText)


Parameters = Mapping[str, Any]
"""What a job asks for beyond strength and scale: a version, a style, a prompt. As the contract checked it."""


@dataclass(frozen=True, slots=True)
class ModelCard:
    """A model id, and how it becomes a recipe."""

    id: str
    title: str
    description: str
    make_tasks: Callable[[int, Parameters], tuple[Task, ...]]
    scales: tuple[int, ...] = SCALES
    providers: tuple[str, ...] | None = None
    listed: bool = True
    """Whether clients of contract D may ask for it by name."""


def _portrait(scale: int, _parameters: Parameters) -> tuple[Task, ...]:
    if scale == 4:
        return (RestoreFaces("v1.4", scale=2), Upscale(2))
    return (RestoreFaces("v1.4", scale=scale),)


def _enhance_faces(scale: int, asked: Parameters) -> tuple[Task, ...]:
    chosen = asked.get("faces")
    faces = RestoreFaces(
        "v1.4",
        scale=scale // 2,
        region=asked.get("region", "face"),
        faces=None if chosen is None else tuple(chosen),
    )
    return (faces, Upscale(2))


def _gentle(scale: int, _parameters: Parameters) -> tuple[Task, ...]:
    enlarge: tuple[Task, ...] = (Upscale(scale),) if scale > 1 else ()
    return (RepairDamage(), Denoise(), BalanceColour(), *enlarge, Sharpen())


def _cartoon(style: str, title: str, description: str) -> ModelCard:
    """One card a style, so that contract D's frozen parameters suffice."""
    return ModelCard(
        id=f"cartoon/{style}-1",
        title=title,
        description=description,
        make_tasks=lambda _scale, _: (Cartoonify(style),),
        scales=(1,),
    )


MODELS: dict[str, ModelCard] = {
    card.id: card
    for card in (
        ModelCard(
            id="restoration/gfpgans-1.4",
            title="Portrait restoration",
            description="Restores faces and the photo around them. The default for old family photos.",
            make_tasks=_portrait,
        ),
        ModelCard(
            id="restoration/builtin-1",
            title="Gentle repair on this machine",
            description="Repairs only what is damaged, with no network and no invented detail. "
            "The photo never leaves this machine.",
            make_tasks=_gentle,
            providers=("builtin",),
        ),
        ModelCard(
            id="enlarging/standard-1",
            title="Enlarge",
            description="Enlarges two or four times with the best enlarger that this service has.",
            make_tasks=lambda scale, _: (Upscale(scale),),
            scales=(2, 4),
        ),
        ModelCard(
            id="enlarging/builtin-1",
            title="Enlarge on this machine",
            description="Enlarges two or four times and changes nothing else.",
            make_tasks=lambda scale, _: (Upscale(scale),),
            scales=(2, 4),
            providers=("builtin",),
        ),
        _cartoon("comic", "Comic", "A cartoon in flat colours and bold black lines."),
        _cartoon("soft", "Watercolour", "A cartoon in soft washes on light paper."),
        _cartoon("sketch", "Pencil", "A drawing in pencil lines and shading on white paper."),
        _cartoon("poster", "Poster", "A cartoon in a few flat colours without lines."),
        ModelCard(
            id=RESTORE_URL_MODEL,
            title="Restore by URL",
            description="Face restoration, then upscaling: four times the size.",
            make_tasks=lambda _scale, _: (RestoreFaces("v1.4", scale=2), Upscale(2)),
            scales=(4,),
            listed=False,
        ),
        ModelCard(
            id=FIX_PHOTO_MODEL,
            title="Fix an old photo",
            description="Face restoration by the version of GFPGAN that is asked for.",
            make_tasks=lambda scale, asked: (RestoreFaces(asked["version"], scale=scale),),
            scales=(2,),
            listed=False,
        ),
        ModelCard(
            id=HD_IMAGE_MODEL,
            title="Enlarge",
            description="Upscaling two or four times.",
            make_tasks=lambda scale, _: (Upscale(scale),),
            scales=(2, 4),
            listed=False,
        ),
        ModelCard(
            id=CARTOON_MODEL,
            title="Cartoon",
            description="Turns a photo into a cartoon.",
            make_tasks=lambda _scale, asked: (Cartoonify(asked["style"]),),
            scales=(1,),
            listed=False,
        ),
        ModelCard(
            id=ENHANCE_FACES_MODEL,
            title="Enhance with faces",
            description="Face restoration, then upscaling: two or four times the size.",
            make_tasks=_enhance_faces,
            scales=(2, 4),
            listed=False,
        ),
        ModelCard(
            id=ENHANCE_MODEL,
            title="Enhance",
            description="Upscaling two or four times.",
            make_tasks=lambda scale, _: (Upscale(scale),),
            scales=(2, 4),
            listed=False,
        ),
        ModelCard(
            id=PICTURE_MODEL,
            title="Picture from a prompt",
            description="Makes a picture from words.",
            make_tasks=lambda _scale, asked: (TextToImage(**asked),),
            scales=(1,),
            listed=False,
        ),
        ModelCard(
            id=GENERATION_MODEL,
            title="Media from a prompt",
            description="Makes a picture from words, by the model that is asked for.",
            make_tasks=lambda _scale, asked: (TextToImage(**asked, exact_model=True),),
            scales=(1,),
            listed=False,
        ),
        ModelCard(
            id=TEXT_MODEL,
            title="Text from a prompt",
            description="Writes text.",
            make_tasks=lambda _scale, asked: (GenerateText(**asked),),
            scales=(1,),
            listed=False,
        ),
    )
}


def listed_models() -> list[ModelCard]:
    """The models that clients may choose by id, the default's family first."""
    return [card for card in MODELS.values() if card.listed]


def find(model_id: str) -> ModelCard:
    """Raises UnknownModel, which names the known ones."""
    if model_id not in MODELS:
        known = ", ".join(card.id for card in listed_models())
        raise UnknownModel(f"There is no model with this model_id. Known models: {known}.")
    return MODELS[model_id]


def build(
    model_id: str,
    *,
    strength: float = STRENGTH_DEFAULT,
    scale: int = 1,
    parameters: Parameters | None = None,
    local_only: bool = False,
) -> Recipe:
    """The recipe of a model id.

    Raises UnknownModel, which names the known ones, and InvalidParameter.
    """
    card = find(model_id)
    if not STRENGTH_MIN <= strength <= STRENGTH_MAX:
        raise InvalidParameter(f"strength must be a number from {STRENGTH_MIN} to {STRENGTH_MAX:.1f}.")
    if scale not in card.scales:
        allowed = " or ".join(str(allowed) for allowed in card.scales)
        raise InvalidParameter(f"upscale must be {allowed} for {card.id}.")
    tasks = card.make_tasks(scale, parameters or {})
    return Recipe(
        model_id,
        tasks,
        strength,
        scale,
        card.providers,
        exact_size=card.id != CARTOON_MODEL,
        local_only=local_only,
    )
