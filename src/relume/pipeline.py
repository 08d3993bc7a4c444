"""A photo's way through a recipe: bytes in, verified bytes out. No job, no database, no HTTP.

The job runner and the command line both call `Pipeline.run`; there is no other way to restore a photo.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

import anyio
import anyio.to_thread

from relume.errors import InternalError, OutputInvalid, RelumeError
from relume.imaging.blend import blend
from relume.imaging.compare import fidelity
from relume.imaging.decode import decode, prove
from relume.imaging.encode import encode, result_format
from relume.imaging.inspect import ImageInfo, inspect, is_settled
from relume.imaging.limits import MEGABYTE, WIDE, Limits
from relume.imaging.photo import ImageFormat, Metadata, Photo
from relume.imaging.provenance import SourceType, mark, marked_as
from relume.imaging.resize import resize
from relume.ports import CODECS, Credit, Provider, Result, RunContext, StepReport
from relume.recipes import STRENGTH_MAX, Recipe
from relume.room import Room
from relume.tasks import Task

_DECODED, _WORKED = 0.05, 0.85
"""Where the progress bar stands when the photo is decoded, and when the tasks are done."""


@dataclass(frozen=True, slots=True)
class TaskReport:
    """Who did one task of the recipe, with what, and what came of it."""

    task: str
    provider: str
    model: str
    version: str
    changed: bool
    seconds: float
    cost_usd: float
    steps: tuple[StepReport, ...]
    credits: tuple[Credit, ...] = ()
    """Of the local weights that made pixels of it."""


@dataclass(frozen=True, slots=True)
class Restored:
    """A finished image, encoded and proven to decode."""

    data: bytes
    format: ImageFormat
    width: int
    height: int
    outcome: str
    """restored | degraded (a later provider of a chain had to finish it) | unchanged."""
    fidelity: float | None
    """0 to 1: how close the result, scaled back, stays to the input. None where there was no input."""
    reports: tuple[TaskReport, ...]
    """One for each task of the recipe, in order."""
    unmixed: bytes | None = None
    """A PNG of the restoration before it was mixed over the original, where a pipeline keeps it and it differs."""


@dataclass(frozen=True, slots=True)
class Written:
    """A finished text."""

    text: str
    outcome: str
    reports: tuple[TaskReport, ...]


@dataclass(frozen=True, slots=True)
class _Worked:
    """The photo after the last task, and what the tasks were made of."""

    photo: Photo
    reports: tuple[TaskReport, ...]
    fallback: bool
    generative: bool

    @property
    def changed(self) -> bool:
        return any(report.changed for report in self.reports)

    @property
    def outcome(self) -> str:
        if not self.changed:
            return "unchanged"
        return "degraded" if self.fallback else "restored"


MEMORY_BYTES = 2048 * MEGABYTE
_BYTES_A_PIXEL = 4


def _held_bytes(data: bytes, limits: Limits) -> int:
    """What a run holds from its beginning to its end: the file, and the photo in it. Raises as `inspect` does."""
    info = inspect(data, limits)
    return len(data) + info.width * info.height * _BYTES_A_PIXEL


class Pipeline:
    """Runs recipes. Pixels are worked on in threads, so that the event loop stays free.

    `codecs` bounds how many photos are decoded, compared, blended or encoded at once, and with it the memory; as many
    uploads may be checked beside them, so that a long encoding keeps nobody waiting at the door.
    """

    def __init__(
        self,
        provider_for: Callable[[Recipe], Provider],
        *,
        codecs: int = CODECS,
        memory_bytes: int = MEMORY_BYTES,
        keep_unmixed: bool = False,
        close: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """`memory_bytes` is what the photos of all runs may take together while they wait for their providers.

        With `keep_unmixed`, a restoration that is mixed over its original comes unmixed too.
        `close` ends what belongs to nobody else: the providers' connections, where there is no service.
        """
        self._provider_for = provider_for
        self._close = close
        self._keep_unmixed = keep_unmixed
        self._codecs = anyio.CapacityLimiter(codecs)
        self._checks = anyio.CapacityLimiter(codecs)
        self._room = Room(memory_bytes)

    async def close(self) -> None:
        if self._close is not None:
            await self._close()

    async def check(self, data: bytes, limits: Limits) -> ImageInfo:
        """Prove that an upload can be decoded. Raises what the client is to be told."""
        info = inspect(data, limits)
        await anyio.to_thread.run_sync(lambda: prove(data, limits), limiter=self._checks)
        return info

    async def run(self, data: bytes, recipe: Recipe, limits: Limits, context: RunContext) -> Restored:
        """Restore one photo. Raises RelumeError."""
        async with self._room.hold(_held_bytes(data, limits), lambda: context.progress(0.0, "decode")):
            return await self._run(data, recipe, limits, replace(context, codecs=self._codecs))

    async def _run(self, data: bytes, recipe: Recipe, limits: Limits, context: RunContext) -> Restored:
        context.progress(0.0, "decode")
        original = await context.in_thread(lambda: decode(data, limits))
        worked = await self._work(original, recipe, context.part(_DECODED, _WORKED))
        finishing = context.part(_WORKED, 1.0)
        return await context.in_thread(
            lambda: _finish(data, original, worked, recipe, finishing, keep_unmixed=self._keep_unmixed)
        )

    async def remix(
        self, data: bytes, unmixed: bytes, recipe: Recipe, outcome: str, limits: Limits, context: RunContext
    ) -> Restored:
        """A finished restoration at the recipe's strength, as its own run would have given it; nobody works anew.

        `unmixed` is that of the first run, or the first run's result where that was of full strength.
        Raises RelumeError.
        """
        ours = replace(WIDE, max_bytes=len(unmixed))
        held = _held_bytes(data, limits) + _held_bytes(unmixed, ours)
        context = replace(context, codecs=self._codecs)
        async with self._room.hold(held, lambda: context.progress(0.0, "decode")):
            context.progress(0.0, "decode")
            original = await context.in_thread(lambda: decode(data, limits))
            worked = await context.in_thread(lambda: decode(unmixed, ours))
            finishing = context.part(_DECODED, 1.0)
            return await context.in_thread(lambda: _remixed(original, worked, recipe, outcome, finishing))

    async def generate(self, recipe: Recipe, context: RunContext) -> Restored | Written:
        """Carry out a recipe that needs no photo: a picture or text from a prompt. Raises RelumeError."""
        (task,) = recipe.tasks
        context = replace(context, codecs=self._codecs)
        context.progress(0.0, task.name)
        started = time.perf_counter()
        result = await self._provider_for(recipe).run(task, None, context.part(_DECODED, _WORKED))
        reports = (_report(task, result, time.perf_counter() - started),)
        outcome = "degraded" if result.fallback else "restored"
        if result.photo is None:
            return Written(result.text or "", outcome, reports)
        photo = mark(result.photo, SourceType.GENERATED)
        data = await context.in_thread(lambda: _proven(photo, ImageFormat.PNG))
        return Restored(data, ImageFormat.PNG, photo.width, photo.height, outcome, None, reports)

    async def _work(self, photo: Photo, recipe: Recipe, context: RunContext) -> _Worked:
        provider = self._provider_for(recipe)
        results: list[Result] = []
        reports: list[TaskReport] = []
        for index, task in enumerate(recipe.tasks):
            share = context.part(index / len(recipe.tasks), (index + 1) / len(recipe.tasks))
            share = replace(share, step=index, deadline=_part_of(context.deadline, len(recipe.tasks) - index))
            share.progress(0.0, task.name)
            started = time.perf_counter()
            result = await provider.run(task, photo, share)
            if result.photo is None:
                raise OutputInvalid(f"The {task.name} step gave no image.")
            if photo.is_greyscale and not result.photo.is_greyscale:
                raise OutputInvalid(f"The {task.name} step gave colour to a greyscale photo.")
            reports.append(_report(task, result, time.perf_counter() - started))
            results.append(result)
            photo = result.photo
        return _Worked(
            photo,
            tuple(reports),
            fallback=any(result.fallback for result in results),
            generative=any(result.generative and result.changed for result in results),
        )


def _part_of(deadline: float | None, tasks_left: int) -> float | None:
    """The time that is left, divided among the tasks that are left."""
    if deadline is None:
        return None
    now = time.monotonic()
    return now + (deadline - now) / tasks_left


def _report(task: Task, result: Result, seconds: float) -> TaskReport:
    return TaskReport(
        task=task.name,
        provider=result.provider,
        model=result.model,
        version=result.version,
        changed=result.changed,
        seconds=round(seconds, 3),
        cost_usd=result.cost_usd,
        steps=result.steps,
        credits=result.credits,
    )


def _finish(
    data: bytes,
    original: Photo,
    worked: _Worked,
    recipe: Recipe,
    context: RunContext,
    *,
    keep_unmixed: bool,
) -> Restored:
    """Exact size, strength, provenance, encoding, proof."""
    context.progress(0.0, "finish")
    photo = worked.photo
    if recipe.exact_size:
        photo = resize(photo, original.width * recipe.scale, original.height * recipe.scale)
    if photo is original and is_settled(data):
        target = result_format(original.source_format)
        return Restored(data, target, photo.width, photo.height, worked.outcome, 1.0, worked.reports)
    source = _source_type(worked) if worked.changed else None
    is_mixed = worked.changed and photo is not original and recipe.strength < STRENGTH_MAX
    unmixed = _lossless(photo, source) if is_mixed and keep_unmixed else None
    finished = _mixed(original, photo, recipe.strength, source, context)
    return replace(finished, outcome=worked.outcome, reports=worked.reports, unmixed=unmixed)


def _remixed(original: Photo, worked: Photo, recipe: Recipe, outcome: str, context: RunContext) -> Restored:
    source = marked_as(worked.metadata.xmp) or SourceType.ENHANCED
    photo = replace(original, pixels=worked.pixels, alpha=worked.alpha)
    return replace(_mixed(original, photo, recipe.strength, source, context), outcome=outcome)


def _mixed(
    original: Photo, photo: Photo, strength: float, source: SourceType | None, context: RunContext
) -> Restored:
    """The finished image; what was done, and how it came out, is for the caller to say."""
    target = result_format(original.source_format)
    closeness = 1.0
    if photo is not original:
        photo = blend(original, photo, strength)
        context.progress(0.2, "finish")
        closeness = fidelity(original, photo)
    if source is not None:
        photo = mark(photo, source)
    context.progress(0.4, "finish")
    encoded = _proven(photo, target)
    context.progress(1.0, "finish")
    return Restored(encoded, target, photo.width, photo.height, "", closeness, ())


def _lossless(photo: Photo, source: SourceType | None) -> bytes:
    """The pixels as they are, and how they came to be. All else about the photo is told by the original."""
    bare = replace(photo, metadata=Metadata())
    return encode(bare if source is None else mark(bare, source), ImageFormat.PNG)


def _source_type(worked: _Worked) -> SourceType:
    if worked.generative:
        return SourceType.COMPOSITE
    return SourceType.ENHANCED


def _proven(photo: Photo, target: ImageFormat) -> bytes:
    """The encoded photo, decoded once before it may be published. Raises InternalError."""
    data, width, height = encode(photo, target), photo.width, photo.height
    limits = Limits(max_bytes=len(data), max_width=width, max_height=height, formats=frozenset({target}))
    try:
        proof = decode(data, limits)
    except RelumeError as error:
        raise InternalError from error
    if (proof.width, proof.height) != (width, height):
        raise InternalError
    return data
