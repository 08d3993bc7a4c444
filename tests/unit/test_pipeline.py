"""The pipeline: exact size, blend, greyscale, honesty about what was done."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray

from relume.errors import JobCancelled, OutputInvalid
from relume.imaging.limits import Limits
from relume.imaging.photo import Photo, Pixels
from relume.pipeline import Pipeline, Restored
from relume.ports import Result, RunContext
from relume.recipes import Recipe
from relume.tasks import Denoise, Task, Upscale
from tests import photos
from tests.providers import Held, ScriptedProvider


class Made(ScriptedProvider):
    """Returns what a function makes of the photo."""

    def __init__(
        self, make: Callable[[Photo], Photo], *, changed: bool = True, fallback: bool = False
    ) -> None:
        super().__init__()
        self.make = make
        self.changed = changed
        self.fallback = fallback

    async def run(self, task: Task, photo: Photo | None, context: RunContext) -> Result:
        assert photo is not None
        result = await super().run(task, photo, context)
        made: Photo = self.make(photo)
        return replace(result, photo=made, changed=self.changed, fallback=self.fallback)


def recipe(*tasks: Task, strength: float = 1.0, scale: int = 1) -> Recipe:
    return Recipe("test", tasks, strength, scale)


async def run(provider: ScriptedProvider, data: bytes, wanted: Recipe) -> tuple[Restored, NDArray[Any]]:
    restored = await Pipeline(lambda _recipe: provider).run(data, wanted, Limits(), RunContext())
    return restored, photos.pixels(restored.data)


async def test_a_model_that_gives_another_size_is_brought_to_the_exact_one() -> None:
    restored, pixels = await run(ScriptedProvider(), photos.encoded("PNG"), recipe(Upscale(4), scale=2))
    assert pixels.shape == (96, 128, 3)
    assert (restored.width, restored.height) == (128, 96)


@pytest.mark.parametrize("strength", [0.1, 0.6, 1.0])
async def test_strength_mixes_result_and_original(strength: float) -> None:
    data = photos.encoded("PNG")
    black = Made(lambda photo: photo.with_pixels(np.zeros_like(photo.pixels)))
    _, pixels = await run(black, data, recipe(Denoise(), strength=strength))
    expected = np.rint(photos.pixels(data).astype(float) * (1 - strength))
    assert np.abs(pixels - expected).max() <= 1


async def test_colour_is_never_invented_in_a_greyscale_photo() -> None:
    colour = Made(lambda photo: photo.with_pixels(cast("Pixels", np.repeat(photo.pixels, 3, axis=2))))
    with pytest.raises(OutputInvalid, match="greyscale"):
        await run(colour, photos.encoded("PNG", mode="L"), recipe(Denoise()))


async def test_a_jpeg_that_nothing_changed_comes_back_byte_for_byte() -> None:
    data = photos.encoded("JPEG")
    same = Made(lambda photo: photo, changed=False)
    restored, _ = await run(same, data, recipe(Denoise(), strength=0.5))
    assert (restored.data, restored.outcome, restored.fidelity) == (data, "unchanged", 1.0)


async def test_a_fallback_is_told_as_degraded() -> None:
    restored, _ = await run(
        Made(lambda photo: photo.with_pixels(photo.pixels // 2), fallback=True),
        photos.encoded("PNG"),
        recipe(Denoise()),
    )
    assert restored.outcome == "degraded"


async def test_progress_rises_to_one_through_all_tasks() -> None:
    seen: list[float] = []
    context = RunContext(on_progress=lambda fraction, _step: seen.append(fraction))
    pipeline = Pipeline(lambda _recipe: ScriptedProvider())
    await pipeline.run(photos.encoded("PNG"), recipe(Denoise(), Upscale(2), scale=2), Limits(), context)
    assert seen == sorted(seen)
    assert (seen[0], seen[-1]) == (0.0, 1.0)


async def test_a_cancel_takes_hold_between_steps() -> None:
    context = RunContext()

    class Cancels(ScriptedProvider):
        async def run(self, task: Task, photo: Photo | None, context: RunContext) -> Result:
            result = await super().run(task, photo, context)
            context.cancelled.set()
            return result

    provider = Cancels()
    with pytest.raises(JobCancelled):
        await Pipeline(lambda _recipe: provider).run(
            photos.encoded("PNG"), recipe(Denoise(), Upscale(2)), Limits(), context
        )
    assert len(provider.runs) == 1


async def test_photos_wait_for_memory() -> None:
    held = Held()
    provider = ScriptedProvider(held)
    pipeline = Pipeline(lambda _recipe: provider, memory_bytes=1)
    recipe = Recipe("test", (Upscale(2),), 1.0, 2)
    runs = [
        asyncio.create_task(pipeline.run(photos.encoded("PNG"), recipe, Limits(), RunContext()))
        for _ in range(2)
    ]
    await held.started.wait()
    await asyncio.sleep(0)
    assert len(provider.runs) == 1
    held.go.set()
    await asyncio.gather(*runs)
    assert len(provider.runs) == 2


@pytest.mark.parametrize(
    ("format_", "mode"), [("PNG", "L"), ("PNG", "RGBA"), ("PNG", "I;16"), ("JPEG", "RGB")]
)
@pytest.mark.parametrize("strength", [0.1, 0.35, 1.0])
async def test_a_restoration_kept_unmixed_gives_any_strength_byte_for_byte(
    format_: str, mode: str, strength: float
) -> None:
    data = photos.encoded(format_, mode=mode)
    pipeline = Pipeline(lambda _recipe: ScriptedProvider(), keep_unmixed=True)
    tasks = (Upscale(2),)
    first = await pipeline.run(data, recipe(*tasks, strength=0.6, scale=2), Limits(), RunContext())
    assert first.unmixed is not None
    wanted = recipe(*tasks, strength=strength, scale=2)
    direct = await pipeline.run(data, wanted, Limits(), RunContext())
    again = await pipeline.remix(data, first.unmixed, wanted, "restored", Limits(), RunContext())
    assert again.data == direct.data
    assert (again.fidelity, again.width, again.height) == (direct.fidelity, direct.width, direct.height)
    assert (direct.unmixed is None) == (strength == 1.0)


async def test_nothing_is_kept_unmixed_that_the_result_tells_already() -> None:
    same = Made(lambda photo: photo, changed=False)
    pipeline = Pipeline(lambda _recipe: same, keep_unmixed=True)
    done = await pipeline.run(photos.encoded("PNG"), recipe(Denoise(), strength=0.5), Limits(), RunContext())
    assert done.unmixed is None
    unwanted = await Pipeline(lambda _recipe: ScriptedProvider()).run(
        photos.encoded("PNG"), recipe(Upscale(2), strength=0.5, scale=2), Limits(), RunContext()
    )
    assert unwanted.unmixed is None
