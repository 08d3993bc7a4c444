"""What a run of a hosted model costs, from the table in prices.json."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

from pydantic import BaseModel, ConfigDict, NonNegativeFloat


class ModelPrice(BaseModel):
    """By the run, or by the second of the hardware it runs on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str = ""
    """The name users know it by."""
    seconds: str = ""
    """How long it usually takes, in words for people. Costs are reckoned from `usual_seconds`."""
    usd_per_run: NonNegativeFloat | None = None
    hardware: str | None = None
    usual_seconds: NonNegativeFloat | None = None


class FreeService(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str
    seconds: str


class PriceTable(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str
    usd_per_second: dict[str, NonNegativeFloat]
    unlisted_hardware: str
    """Models that are not listed are counted as if they ran on this: rather too dear than too cheap."""
    models: dict[str, ModelPrice]
    free: list[FreeService]
    """Counted as free, and told beside the others."""


@cache
def price_table() -> PriceTable:
    return PriceTable.model_validate_json(files("relume.providers").joinpath("prices.json").read_bytes())


def reference_seconds(model: str) -> float | None:
    """How long a run of `owner/name` is said to take; None for one that is not listed, or listed in words."""
    price = price_table().models.get(model)
    told = [float(number) for number in re.findall(r"\d+", price.seconds)] if price else []
    return sum(told) / len(told) if told else None


def estimate(model: str) -> float | None:
    """US dollars that one run of `owner/name` usually costs, or None for a model that is not listed."""
    table = price_table()
    price = table.models.get(model)
    if price is None:
        return None
    if price.usd_per_run is not None:
        return price.usd_per_run
    return _per_second(price.hardware) * (price.usual_seconds or 0.0)


def settle(model: str, predict_seconds: float | None) -> float:
    """US dollars that a run of `owner/name` has cost, to a millionth.

    `predict_seconds` is what the provider measured; where it told nothing, the estimate stands.
    """
    price = price_table().models.get(model, ModelPrice())
    if price.usd_per_run is not None or predict_seconds is None:
        return round(estimate(model) or 0.0, 6)
    return round(_per_second(price.hardware) * predict_seconds, 6)


def settle_failed(model: str, predict_seconds: float | None) -> float:
    """US dollars that a failed or cancelled run has cost: the seconds that it computed, where those are the price."""
    price = price_table().models.get(model, ModelPrice())
    if price.usd_per_run is not None:
        return 0.0
    return round(_per_second(price.hardware) * (predict_seconds or 0.0), 6)


def _per_second(hardware: str | None) -> float:
    table = price_table()
    return table.usd_per_second[hardware or table.unlisted_hardware]
