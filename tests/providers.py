"""A provider that does as a test tells it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from relume.imaging.photo import Photo
from relume.imaging.resize import resize
from relume.ports import Result, RunContext, StepReport
from relume.tasks import Task

Behaviour = Callable[[Task, Photo, RunContext], Awaitable[None]]


async def _at_once(_task: Task, _photo: Photo, _context: RunContext) -> None:
    return None


class ScriptedProvider:
    """Enlarges by plain resizing, after whatever `behaviour` does first (wait, fail, look)."""

    is_local = True
    needs_device = False

    def __init__(self, behaviour: Behaviour = _at_once, *, name: str = "scripted") -> None:
        self.name = name
        self.behaviour = behaviour
        self.runs: list[Task] = []
        self.missing: str | None = None

    def supports(self, task: Task) -> bool:
        del task
        return True

    def estimate_usd(self, task: Task) -> float:
        del task
        return 0.0

    def unavailable(self) -> str | None:
        return self.missing

    async def run(self, task: Task, photo: Photo | None, context: RunContext) -> Result:
        assert photo is not None
        self.runs.append(task)
        context.progress(0.5, "scripted")
        await self.behaviour(task, photo, context)
        scale = getattr(task, "scale", 1)
        made = resize(photo, photo.width * scale, photo.height * scale)
        made = made.with_pixels(made.pixels // 2)
        return Result(made, self.name, "Scripted", "1", steps=(StepReport("dim", True, "Halved.", 1.0),))


class Held:
    """A behaviour that waits until it is let go, and still notices a cancel."""

    def __init__(self) -> None:
        self.started = asyncio.Event()
        self.go = asyncio.Event()

    async def __call__(self, _task: Task, _photo: Photo, context: RunContext) -> None:
        self.started.set()
        while not self.go.is_set():
            context.progress(0.5, "held")
            await asyncio.sleep(0.01)
