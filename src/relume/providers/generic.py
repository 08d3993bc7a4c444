"""The dummy provider: waits one to two seconds and gives the input back. For clients' own tests only."""

from __future__ import annotations

import asyncio
import random

from relume.imaging.photo import Photo
from relume.ports import Result, RunContext
from relume.tasks import GenerateText, Task, TextToImage

_WAIT_SECONDS = (1.0, 2.0)
_TICKS = 10


class GenericProvider:
    """Selected by `PROVIDER=generic`; never part of a default chain.

    `tasks` is how many tasks share the wait: a job waits one to two seconds, whatever its recipe.
    """

    name = "generic"
    is_local = True
    needs_device = False

    def __init__(self, tasks: int = 1) -> None:
        self._tasks = tasks

    def supports(self, task: Task) -> bool:
        return not isinstance(task, TextToImage | GenerateText)  # There is no input to give back.

    def estimate_usd(self, task: Task) -> float:
        del task
        return 0.0

    def unavailable(self) -> str | None:
        return None

    async def run(self, task: Task, photo: Photo | None, context: RunContext) -> Result:
        wait_seconds = random.uniform(*_WAIT_SECONDS)  # noqa: S311 (no secret depends on it)
        for tick in range(_TICKS):
            context.progress(tick / _TICKS, task.name)
            await asyncio.sleep(wait_seconds / self._tasks / _TICKS)
        return Result(photo=photo, provider=self.name, model="Dummy", version="1", changed=False)
