"""The built-in restorer: measures a photo first, then does what it needs and nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from relume.builtin.cartoon import cartoonify
from relume.builtin.colour import balance
from relume.builtin.denoise import denoise
from relume.builtin.inpaint import repair
from relume.builtin.measure import Damage, measure
from relume.builtin.sharpen import sharpen
from relume.builtin.upscale import upscale
from relume.imaging.photo import Photo
from relume.ports import RunContext, StepReport
from relume.tasks import (
    BalanceColour,
    Cartoonify,
    Denoise,
    RepairDamage,
    RestoreFaces,
    Sharpen,
    Task,
    Upscale,
)

Step = Callable[[Photo, Damage, RunContext], tuple[Photo, StepReport]]

# Damage goes first, while its grain can still be matched; noise before anything that would amplify it;
# enlarging last, because all else is cheaper on the small photo. `end` is the share of the time by then.
_CHAIN: tuple[tuple[float, Step], ...] = ((0.35, repair), (0.65, denoise), (0.7, balance), (0.8, sharpen))
_MEASURED = 0.25

_CHOICE_IGNORED = StepReport(
    RestoreFaces.name,
    False,
    "Only some faces, or only eyes, were asked for. The built-in restorer looks for no faces and invents nothing: "
    "it treated the whole photo.",
    1.0,
)

_SINGLE_STEPS: dict[type[Task], Step] = {
    RepairDamage: repair,
    Denoise: denoise,
    BalanceColour: balance,
    Sharpen: sharpen,
}


def restore(photo: Photo, context: RunContext, scale: int = 1) -> tuple[Photo, tuple[StepReport, ...]]:
    """The whole automatic chain, then `scale` times the size.

    A photo with nothing wrong comes back as it is, the very same array. Raises JobCancelled, and
    InvalidParameter for a scale below 1.
    """
    context.progress(0.0, "measure")
    damage = measure(photo)
    reports = []
    start = _MEASURED
    for end, step in _CHAIN:
        photo, report = _timed(step, photo, damage, context.part(start, end))
        reports.append(report)
        start = end
    photo, report = _enlarge(photo, scale, context.part(start, 1.0))
    return photo, (*reports, report)


def run_task(task: Task, photo: Photo, context: RunContext) -> tuple[Photo, tuple[StepReport, ...]]:
    """Carry out one task. Restoring faces means the whole chain: this restorer invents nothing.

    Raises JobCancelled, and InvalidParameter for a scale below 1 or an unknown style.
    """
    if isinstance(task, RestoreFaces):
        photo, reports = restore(photo, context, task.scale)
        return photo, (*reports, _CHOICE_IGNORED) if task.is_choosy else reports
    if isinstance(task, Upscale):
        photo, report = _enlarge(photo, task.scale, context)
        return photo, (report,)
    if isinstance(task, Cartoonify):
        photo, report = _draw(photo, task.style, context)
        return photo, (report,)
    context.progress(0.0, "measure")
    damage = measure(photo)
    photo, report = _timed(_SINGLE_STEPS[type(task)], photo, damage, context.part(_MEASURED, 1.0))
    return photo, (report,)


def _enlarge(photo: Photo, scale: int, context: RunContext) -> tuple[Photo, StepReport]:
    started = time.perf_counter()
    photo, report = upscale(photo, scale, context)
    return photo, replace(report, seconds=time.perf_counter() - started)


def _draw(photo: Photo, style: str, context: RunContext) -> tuple[Photo, StepReport]:
    started = time.perf_counter()
    photo, report = cartoonify(photo, style, context)
    return photo, replace(report, seconds=time.perf_counter() - started)


def _timed(step: Step, photo: Photo, damage: Damage, context: RunContext) -> tuple[Photo, StepReport]:
    started = time.perf_counter()
    photo, report = step(photo, damage, context)
    return photo, replace(report, seconds=time.perf_counter() - started)
