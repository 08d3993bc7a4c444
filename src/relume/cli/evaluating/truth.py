"""A test whose right answer is known: a photo is made smaller and worse, restored, and compared with itself."""

from __future__ import annotations

from dataclasses import dataclass

from relume.cli.evaluating.figures import SMALLEST_SIDE, Likeness, eight_bits, likeness
from relume.imaging.decode import decode
from relume.imaging.encode import encode
from relume.imaging.limits import WIDE
from relume.imaging.photo import ImageFormat, Photo
from relume.imaging.resize import resize
from relume.pipeline import Pipeline
from relume.ports import RunContext
from relume.recipes import Recipe

JPEG_QUALITY = 75
METHOD = (
    f"The photo is cropped to a multiple of the scale, reduced by the scale with area averaging, saved as JPEG of "
    f"quality {JPEG_QUALITY} (4:4:4), restored with the same recipe, and compared with the crop. The baseline is the "
    f"same reduced JPEG enlarged by Lanczos, and left as it is at scale 1. "
    f"A photo that is itself faded or scratched is a poor truth: what undoes that counts against the restoration."
)


@dataclass(frozen=True, slots=True)
class TruthTest:
    """How near a restoration comes to a known truth, and how near plain enlarging comes."""

    restored: Likeness
    lanczos: Likeness
    fidelity: float | None
    seconds: float
    cost_usd: float


@dataclass(frozen=True, slots=True)
class TruthPictures:
    truth: Photo
    lanczos: Photo
    restored: Photo


def is_possible(photo: Photo, scale: int) -> bool:
    return min(photo.width, photo.height) // scale >= SMALLEST_SIDE


async def run_truth_test(
    pipeline: Pipeline, recipe: Recipe, photo: Photo, context: RunContext
) -> tuple[TruthTest, TruthPictures]:
    """Raises RelumeError."""
    truth = _crop(photo, recipe.scale)
    reduced = resize(truth, truth.width // recipe.scale, truth.height // recipe.scale)
    data = encode(reduced, ImageFormat.JPEG, JPEG_QUALITY)
    made = await pipeline.run(data, recipe, WIDE, context)
    restored = decode(made.data, WIDE)
    lanczos = resize(decode(data, WIDE), truth.width, truth.height)
    result = TruthTest(
        restored=likeness(truth, restored),
        lanczos=likeness(truth, lanczos),
        fidelity=made.fidelity,
        seconds=round(sum(report.seconds for report in made.reports), 3),
        cost_usd=round(sum(report.cost_usd for report in made.reports), 6),
    )
    return result, TruthPictures(truth, lanczos, restored)


def _crop(photo: Photo, scale: int) -> Photo:
    """Opaque, 8 bits, without metadata: what a JPEG can hold."""
    height, width = photo.height - photo.height % scale, photo.width - photo.width % scale
    return Photo(eight_bits(photo)[:height, :width], source_format=ImageFormat.JPEG)
