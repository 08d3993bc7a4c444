"""Looks at what a provider gave before it counts as success. A 200 with nothing in it is a failure."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import cv2
import numpy as np

from relume.errors import OutputInvalid
from relume.imaging.blend import blend
from relume.imaging.compare import fidelity, is_blank, psnr
from relume.imaging.photo import Photo, Pixels
from relume.ports import Result, StepReport
from relume.tasks import GenerateText, RestoreFaces, Task, Upscale

_ASPECT_TOLERANCE = 0.04
_SIZE_TOLERANCE = 0.98
"""Models round sizes to multiples of 2 to 8 pixels."""
_SAME_PSNR_DB = 55.0
"""Above this two photos differ by rounding alone."""
_COLOURLESS_LEVELS, _COLOURED_LEVELS = 2.0, 8.0
"""Mean spread of the channels, of 255: a greyscale photo saved as RGB JPEG has up to 2."""

LEAST_FIDELITY = 0.55
"""Below it a face or an upscaling is not the same picture any more. `imaging.compare.fidelity` gives another
face in the same place 0.47 and a region of another photo 0.54; heavy damage repaired 0.56 and more."""
_ANOTHER_PICTURE = 0.4
"""Below this it is another picture altogether (0.2 to 0.35 were measured): a blend would be a ghost of it."""
_BLENDS = (0.75, 0.5, 0.25)


def verify(task: Task, before: Photo | None, result: Result) -> Result:
    """The result, its colours held and its changes bounded. Raises OutputInvalid."""
    if isinstance(task, GenerateText):
        if not (result.text or "").strip():
            raise OutputInvalid("It gave no text.")
        return result
    if result.photo is None:
        raise OutputInvalid("It gave no image.")
    if not result.changed:
        return result
    if is_blank(result.photo) and not (before is not None and is_blank(before)):
        raise OutputInvalid("It gave a blank image.")
    if before is None:
        return result
    _check_size(task, before, result.photo)
    if not any(step.changed for step in result.steps):  # Two eyes are less than rounding is in a whole photo.
        _check_changed(before, result.photo)
    return _guarded(task, before, _held_to_grey(before, result))


def _check_size(task: Task, before: Photo, after: Photo) -> None:
    scale = task.scale if isinstance(task, Upscale | RestoreFaces) else 1
    if after.width < _SIZE_TOLERANCE * scale * before.width:
        raise OutputInvalid("It gave an image of the wrong size.")
    wanted, got = before.width / before.height, after.width / after.height
    if abs(got / wanted - 1) > _ASPECT_TOLERANCE + 2 / min(after.width, after.height):
        raise OutputInvalid("It gave an image of another shape.")


def _check_changed(before: Photo, after: Photo) -> None:
    if before.pixels.shape == after.pixels.shape and before.pixels.dtype == after.pixels.dtype:
        is_same = psnr(before.pixels, after.pixels) > _SAME_PSNR_DB
        is_same_alpha = (
            before.alpha is None or after.alpha is None or np.array_equal(before.alpha, after.alpha)
        )
        if is_same and is_same_alpha:
            raise OutputInvalid("It gave the photo back unchanged.")


def _held_to_grey(before: Photo, result: Result) -> Result:
    """A photo without colour keeps none: a trace of it is removed, more of it is refused."""
    after = cast("Photo", result.photo)
    if after.is_greyscale or _spread(before) > _COLOURLESS_LEVELS:
        return result
    if _spread(after) > _COLOURED_LEVELS:
        raise OutputInvalid("It gave colours to a black-and-white photo.")
    grey = cv2.cvtColor(after.pixels, cv2.COLOR_RGB2GRAY)[:, :, np.newaxis]
    pixels = grey if before.is_greyscale else np.repeat(grey, 3, axis=2)
    return replace(result, photo=after.with_pixels(cast("Pixels", pixels)))


def _spread(photo: Photo) -> float:
    """Mean difference between the largest and the smallest channel, of 255. 0 for greyscale."""
    if photo.is_greyscale:
        return 0.0
    red, green, blue = cv2.split(cv2.resize(photo.pixels, (128, 128), interpolation=cv2.INTER_AREA))
    spread = cv2.max(cv2.max(red, green), blue) - cv2.min(cv2.min(red, green), blue)
    return float(spread.mean() * 255 / photo.white)


def _guarded(task: Task, before: Photo, result: Result) -> Result:
    """A face or an upscaling that strays too far is blended down until it is the same picture again."""
    after = cast("Photo", result.photo)
    if not (result.generative and isinstance(task, RestoreFaces | Upscale)):
        return result
    found = fidelity(before, after)
    if found >= LEAST_FIDELITY:
        return result
    for strength in _BLENDS if found >= _ANOTHER_PICTURE else ():
        softened = blend(before, after, strength)
        reached = fidelity(before, softened)
        if reached >= LEAST_FIDELITY:
            detail = (
                f"The result was too far from the original (fidelity {found:.2f}); "
                f"{strength:.0%} of it were mixed over the original ({reached:.2f})."
            )
            report = StepReport("fidelity_guard", True, detail, 1.0)
            return replace(result, photo=softened, steps=(*result.steps, report))
    raise OutputInvalid("It changed the photo too much.")
