"""The built-in restorer as a provider: the end of every restoration chain. Needs no network and no download."""

from __future__ import annotations

from typing import Self

import anyio
import anyio.to_thread

from relume import __version__
from relume.builtin.nets import Nets
from relume.builtin.restorer import run_task
from relume.imaging.photo import Photo
from relume.ports import Result, RunContext
from relume.settings import Settings
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

_TASKS = (RestoreFaces, Upscale, RepairDamage, Denoise, BalanceColour, Sharpen, Cartoonify)


class BuiltinProvider:
    """Runs in worker threads, one photo at a time: OpenCV and OpenVINO already spread one over all cores."""

    name = "builtin"
    is_local = True
    needs_device = True

    def __init__(self, nets: Nets | None = None, *, places: int = 1) -> None:
        """`nets`: those that ship with Relume, if not given. Nothing is loaded before the first photo."""
        self._nets = nets or Nets()
        self._device = anyio.CapacityLimiter(places)

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        return cls(Nets(quality=settings.builtin_quality, precision=settings.local_precision))

    @property
    def fingerprint(self) -> str:
        """What its results depend on besides the photo and the version."""
        return self._nets.fingerprint

    def supports(self, task: Task) -> bool:
        return isinstance(task, _TASKS)

    def estimate_usd(self, task: Task) -> float:
        del task
        return 0.0

    def unavailable(self) -> str | None:
        return None

    async def run(self, task: Task, photo: Photo | None, context: RunContext) -> Result:
        assert photo is not None  # noqa: S101 (all tasks it supports are about a photo)
        restored, steps = await anyio.to_thread.run_sync(
            lambda: run_task(task, photo, context, self._nets), limiter=self._device
        )
        return Result(
            photo=restored,
            provider=self.name,
            model="Relume built-in",
            version=__version__,
            steps=steps,
            changed=any(step.changed for step in steps),
        )
