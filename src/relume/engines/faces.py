"""The faces of a photo: found, restored one by one or left alone, and a report of each."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

from relume.engines.detect import Colours, Detector, Face
from relume.engines.engine import Engine
from relume.engines.faces_crop import alignment, covered, restore, side_of, upright
from relume.engines.identity import SAME_PERSON, Recogniser
from relume.imaging.photo import Photo, Pixels
from relume.ports import RunContext, StepReport
from relume.tasks import FaceRegion, RestoreFaces

NAME = RestoreFaces.name
_ALL_OF_EVERY_FACE = RestoreFaces()

_LARGEST = 2.0
"""A face this many times larger than the model's crop has more detail than the model makes."""
_COMPARED_SIDE = 256
"""Of the upright crops that are compared: about twice what recognisers take, so that little is lost."""


@dataclass(frozen=True, slots=True)
class FaceRules:
    """Which faces are left alone."""

    min_pixels: int = 40
    """Width in the original photo."""
    min_confidence: float = 0.7


@dataclass(frozen=True, slots=True)
class FoundFaces:
    detector: str
    faces: tuple[Face, ...]


@dataclass(frozen=True, slots=True)
class IdentityCheck:
    """Compares restored faces with those of `original`, the photo that they were found in."""

    recogniser: Recogniser
    original: Photo

    def similarity(self, face: Face, restored: Pixels, growth: float) -> float:
        """The cosine of `face` before and after; `restored` is `growth` times the original's size."""
        before, points = upright(self.original.pixels, face, _COMPARED_SIDE)
        after, _ = upright(restored, face.scaled(growth), _COMPARED_SIDE)
        return self.recogniser.similarity(before, after, points)


def find_faces(photo: Photo, detector: Detector) -> FoundFaces:
    return FoundFaces(detector.name, tuple(detector.find(_colours(photo))))


def restore_faces(
    photo: Photo,
    found: FoundFaces,
    growth: float,
    engine: Engine,
    rules: FaceRules,
    context: RunContext,
    task: RestoreFaces = _ALL_OF_EVERY_FACE,
    identity: IdentityCheck | None = None,
) -> tuple[Photo, tuple[StepReport, ...]]:
    """Put restored faces into `photo`, which is `growth` times the size that the faces were found in.

    Pixels outside the faces' soft masks stay what they are, and so do greyscale, bit depth and alpha.
    A face that `identity` takes for another person's stays what it was. One report for each face, by its index,
    for each index that is no face's, and one where there is no face. Raises JobCancelled, MemoryError.
    """
    if not found.faces:
        return photo, (StepReport(NAME, False, f"{found.detector} found no face.", 1.0),)
    pixels: Pixels | None = None
    reports: dict[int, StepReport] = {}
    for number, (index, face) in enumerate(zip(indices(found.faces), found.faces, strict=True)):
        context.progress(number / len(found.faces), NAME)
        started = time.perf_counter()
        reason = _not_asked_for(index, task) or _left_alone(face, face.scaled(growth), engine, rules)
        if reason is None:
            pixels = photo.pixels.copy() if pixels is None else pixels
            outcome = _try(pixels, face, growth, engine, task.region, identity)
        else:
            outcome = _Outcome(False, f"was left alone: {reason}.")
        detail = f"{_place(index, face)}, {outcome.sentence}"
        seconds = time.perf_counter() - started
        reports[index] = StepReport(NAME, outcome.changed, detail, round(face.confidence, 3), seconds)
    in_order = tuple(reports[index] for index in sorted(reports))
    is_changed = any(report.changed for report in in_order)
    made = photo.with_pixels(pixels) if pixels is not None and is_changed else photo
    return made, (*in_order, *_absent(task, len(found.faces)))


def indices(faces: Sequence[Face]) -> list[int]:
    """How clients call each face: counted from 0, left to right, then top to bottom, by the boxes' middles."""

    def middle(number: int) -> tuple[float, float]:
        box = faces[number].box
        return box.left + box.width / 2, box.top + box.height / 2

    order = sorted(range(len(faces)), key=middle)
    return [order.index(number) for number in range(len(faces))]


@dataclass(frozen=True, slots=True)
class _Outcome:
    changed: bool
    sentence: str
    """What follows the face's name and place."""


def _try(
    pixels: Pixels,
    face: Face,
    growth: float,
    engine: Engine,
    region: FaceRegion,
    identity: IdentityCheck | None,
) -> _Outcome:
    """Change `pixels` where the face is, unless that would make it somebody else's."""
    enlarged = face.scaled(growth)
    done = "was restored." if region == "face" else "was restored at its eyes alone."
    patch = covered(pixels, enlarged, engine)
    if patch is None:  # It lies outside the photo.
        return _Outcome(True, done)
    before = pixels[patch].copy() if identity else None
    restore(pixels, enlarged, engine, region)
    if identity is None or before is None:
        return _Outcome(True, done)
    score = identity.similarity(face, pixels, growth)
    name = identity.recogniser.name
    if score >= SAME_PERSON:
        return _Outcome(True, f"{done} {name} finds the same person in it (similarity {score:.3f}).")
    pixels[patch] = before
    limit = f"similarity {score:.3f}, {SAME_PERSON} is needed"
    return _Outcome(False, f"was left as it was: {name} finds another person in the restored one ({limit}).")


def _not_asked_for(index: int, task: RestoreFaces) -> str | None:
    return None if task.faces is None or index in task.faces else "it was not asked for"


def _absent(task: RestoreFaces, count: int) -> tuple[StepReport, ...]:
    """A report for each face that was asked for and is not there."""
    missing = [index for index in task.faces or () if index >= count]
    found = "1 face was found" if count == 1 else f"{count} faces were found"
    return tuple(
        StepReport(NAME, False, f"Face {index} was asked for, but {found}, counted from 0.", 1.0)
        for index in missing
    )


def _left_alone(face: Face, enlarged: Face, engine: Engine, rules: FaceRules) -> str | None:
    """Why a face is not touched, or None."""
    if face.confidence < rules.min_confidence:
        return "it is too uncertain that it is a face"
    if face.width < rules.min_pixels:
        return f"it is smaller than {rules.min_pixels} pixels"
    matrix = alignment(enlarged.points, side_of(engine))
    if matrix is None:
        return "its eyes and mouth were not found"
    if np.hypot(matrix[0, 0], matrix[1, 0]) * _LARGEST < 1:
        return "it has more detail than the model could give it"
    return None


def _colours(photo: Photo) -> Colours:
    pixels = photo.pixels
    if pixels.dtype != np.uint8:
        pixels = (pixels >> 8).astype(np.uint8)
    return cast("Colours", pixels if pixels.shape[2] == 3 else np.repeat(pixels, 3, axis=2))


def _place(index: int, face: Face) -> str:
    left, top, width, height = face.box
    return f"Face {index}, {width:.0f} by {height:.0f} pixels with its corner at ({left:.0f}, {top:.0f})"
