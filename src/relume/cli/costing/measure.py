"""Seconds an image, by running. A provider is timed alone: no chain, no cache, no other job beside it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence

from pydantic import BaseModel, ConfigDict

from relume.cli.costing.images import SIZE_CLASSES, SizeClass, make_image
from relume.imaging.limits import WIDE
from relume.pipeline import Pipeline, Restored
from relume.ports import Provider, RunContext
from relume.providers.catalog import Catalog
from relume.recipes import Recipe
from relume.settings import Settings

DOES_NO_WORK = frozenset({"mock", "generic"})
"""Dummies: their seconds are a setting."""


class Measurement(BaseModel):
    """One size class at one provider."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    size_class: str
    bytes: int
    width: int
    height: int
    provider: str
    stays_on_this_machine: bool
    model: str
    version: str
    runs: int
    seconds: float
    """The median, from the bytes that came in to the bytes that go out."""
    seconds_min: float
    seconds_max: float
    charged_usd: float
    """What the provider charged for one image; 0 for work on this machine."""


def measurable(
    settings: Settings, recipe: Recipe, wanted: str | None, *, allow_paid: bool
) -> tuple[list[Provider], list[str]]:
    """The providers that can do the whole recipe, and sentences about those left out."""
    chosen, left_out = [], []
    for provider in Catalog(settings).providers:
        if provider.name in DOES_NO_WORK or wanted not in (None, provider.name):
            continue
        if reason := _unfit(provider, recipe, allow_paid=allow_paid):
            left_out.append(f"{provider.name}: {reason}.")
        else:
            chosen.append(provider)
    return chosen, left_out


def _unfit(provider: Provider, recipe: Recipe, *, allow_paid: bool) -> str | None:
    if reason := provider.unavailable():
        return reason
    if not all(provider.supports(task) for task in recipe.tasks):
        return f"it cannot do all steps of {recipe.model_id}"
    if recipe.providers is not None and provider.name not in recipe.providers:
        return f"{recipe.model_id} is not for it"
    if not provider.is_local and not allow_paid:
        return "it sends photos out and may charge; --allow-paid measures it"
    return None


async def measure(
    settings: Settings, recipe: Recipe, provider: Provider, runs: int, tell: Callable[[str], None]
) -> list[Measurement]:
    """Each size class, after one run to warm up that is not counted. Raises RelumeError."""
    catalog = Catalog(settings.model_copy(update={"provider": provider.name}))
    pipeline = Pipeline(catalog.chain)
    found = []
    try:
        for size in SIZE_CLASSES:
            tell(f"{provider.name}, {size.name}: {runs} runs")
            found.append(await _one(pipeline, recipe, provider, size, runs))
    finally:
        await catalog.close()
    return found


async def _one(
    pipeline: Pipeline, recipe: Recipe, provider: Provider, size: SizeClass, runs: int
) -> Measurement:
    data = make_image(size)
    if provider.is_local:
        await pipeline.run(data, recipe, WIDE, RunContext())
    timed = [await _timed(pipeline, recipe, data) for _ in range(runs)]
    seconds = [spent for spent, _ in timed]
    reports = timed[-1][1].reports
    return Measurement(
        size_class=size.name,
        bytes=len(data),
        width=size.width,
        height=size.height,
        provider=provider.name,
        stays_on_this_machine=provider.is_local,
        model=_joined([report.model for report in reports]),
        version=_joined([report.version for report in reports]),
        runs=runs,
        seconds=round(statistics.median(seconds), 3),
        seconds_min=round(min(seconds), 3),
        seconds_max=round(max(seconds), 3),
        charged_usd=round(statistics.fmean(_charged(made) for _, made in timed), 6),
    )


async def _timed(pipeline: Pipeline, recipe: Recipe, data: bytes) -> tuple[float, Restored]:
    started = time.perf_counter()
    made = await pipeline.run(data, recipe, WIDE, RunContext())
    return time.perf_counter() - started, made


def _charged(made: Restored) -> float:
    return sum(report.cost_usd for report in made.reports)


def _joined(names: Sequence[str]) -> str:
    return " + ".join(dict.fromkeys(names))
