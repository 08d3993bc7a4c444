"""The built-in restorer: measures a photo first, then does what it needs and nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from relume.builtin.cartoon import cartoonify
from relume.builtin.colour import balance
from relume.builtin.degradation import Degradation
from relume.builtin.denoise import NET as CLEANER
from relume.builtin.denoise import denoise, denoise_by_net
from relume.builtin.inpaint import repair
from relume.builtin.measure import Damage
from relume.builtin.net import CLEAN, Controls
from relume.builtin.nets import NO_NETS, Nets
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
_CHAIN: tuple[tuple[float, type[Task]], ...] = (
    (0.35, RepairDamage),
    (0.65, Denoise),
    (0.7, BalanceColour),
    (0.8, Sharpen),
)
_MEASURED = 0.25
_UPSCALE_MEASURED, _UPSCALE_CLEANED = 0.1, 0.4

_CHOICE_IGNORED = StepReport(
    RestoreFaces.name,
    False,
    "Only some faces, or only eyes, were asked for. The built-in restorer looks for no faces and invents nothing: "
    "it treated the whole photo.",
    1.0,
)


def _steps(nets: Nets) -> dict[type[Task], Step]:
    return {
        RepairDamage: repair,
        Denoise: partial(denoise, nets=nets),
        BalanceColour: partial(balance, nets=nets),
        Sharpen: sharpen,
    }


def restore(
    photo: Photo, context: RunContext, scale: int = 1, nets: Nets = NO_NETS
) -> tuple[Photo, tuple[StepReport, ...]]:
    """The whole automatic chain, then `scale` times the size.

    A photo with nothing wrong comes back as it is, the very same array. Raises JobCancelled, and
    InvalidParameter for a scale below 1.
    """
    context.progress(0.0, "measure")
    damage = Damage(photo, nets).measured()
    steps, reports = _steps(nets), []
    start = _MEASURED
    for end, task in _CHAIN:
        photo, report = _timed(steps[task], photo, damage, context.part(start, end))
        reports.append(report)
        start = end
    # Whatever there was of noise has been removed by now.
    photo, report = _enlarge(photo, scale, context.part(start, 1.0), CLEAN, nets)
    return photo, (*reports, report)


def run_task(
    task: Task, photo: Photo, context: RunContext, nets: Nets = NO_NETS
) -> tuple[Photo, tuple[StepReport, ...]]:
    """Carry out one task. Restoring faces means the whole chain: this restorer invents nothing.

    Raises JobCancelled, and InvalidParameter for a scale below 1 or an unknown style.
    """
    if isinstance(task, RestoreFaces):
        photo, reports = restore(photo, context, task.scale, nets)
        return photo, (*reports, _CHOICE_IGNORED) if task.is_choosy else reports
    if isinstance(task, Upscale):
        return _enlarge_alone(photo, task.scale, context, nets)
    if isinstance(task, Cartoonify):
        photo, report = _draw(photo, task.style, context)
        return photo, (report,)
    context.progress(0.0, "measure")
    photo, report = _timed(_steps(nets)[type(task)], photo, Damage(photo, nets), context.part(_MEASURED, 1.0))
    return photo, (report,)


def _enlarge_alone(
    photo: Photo, scale: int, context: RunContext, nets: Nets
) -> tuple[Photo, tuple[StepReport, ...]]:
    """Noise and blocks are removed first where a network can: enlarged, they are harder to tell from detail.

    On seven photos with noise 10, twice: 27.1 dB, 25.4 where the enlarging network is told to do both.
    """
    context.progress(0.0, "measure")
    found = Degradation() if scale <= 1 else Damage(photo, nets).degradation
    net = nets.pick(CLEANER, photo.width * photo.height / 1e6) if found.controls != CLEAN else None
    start, controls, reports = _UPSCALE_MEASURED, found.controls, []
    if net is not None:
        started = time.perf_counter()
        photo, report = denoise_by_net(photo, found, net, context.part(start, _UPSCALE_CLEANED))
        reports.append(replace(report, seconds=time.perf_counter() - started))
        start, controls = _UPSCALE_CLEANED, CLEAN
    photo, report = _enlarge(photo, scale, context.part(start, 1.0), controls, nets)
    return photo, (*reports, report)


def _enlarge(
    photo: Photo, scale: int, context: RunContext, controls: Controls, nets: Nets
) -> tuple[Photo, StepReport]:
    started = time.perf_counter()
    photo, report = upscale(photo, scale, context, controls, nets)
    return photo, replace(report, seconds=time.perf_counter() - started)


def _draw(photo: Photo, style: str, context: RunContext) -> tuple[Photo, StepReport]:
    started = time.perf_counter()
    photo, report = cartoonify(photo, style, context)
    return photo, replace(report, seconds=time.perf_counter() - started)


def _timed(step: Step, photo: Photo, damage: Damage, context: RunContext) -> tuple[Photo, StepReport]:
    started = time.perf_counter()
    photo, report = step(photo, damage, context)
    return photo, replace(report, seconds=time.perf_counter() - started)
