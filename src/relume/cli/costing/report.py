"""Seconds into dollars. A price is put on measured seconds only, and on those of the machine that it is for."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict
from rich.console import Console
from rich.table import Table

from relume.cli.costing.hardware import Machine, hardware_prices
from relume.cli.costing.measure import Measurement

_HOUR_SECONDS = 3600


class Report(BaseModel):
    """What `--json` prints and `--measured` reads."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    relume: str
    machine: Machine
    model: str
    scale: int
    measurements: list[Measurement]


class Price(BaseModel):
    """What a second of the measured machine costs, and where that is from."""

    model_config = ConfigDict(frozen=True)

    usd_per_second: float
    source: str


def price_of(machine: Machine, usd_per_hour: float | None) -> Price | None:
    """None for a machine that neither the table nor the user has a price for."""
    if usd_per_hour is not None:
        return Price(
            usd_per_second=usd_per_hour / _HOUR_SECONDS, source=f"${usd_per_hour:g} an hour, as given"
        )
    table = hardware_prices()
    kind = table.kind_of(machine)
    if kind is None:
        return None
    return Price(usd_per_second=table.usd_per_second[kind], source=f"{kind}: {table.source}")


def cost_usd(measurement: Measurement, price: Price | None) -> float | None:
    """Of one image. Hosted providers charge by themselves; None where nobody knows."""
    if not measurement.stays_on_this_machine:
        return measurement.charged_usd
    return None if price is None else measurement.seconds * price.usd_per_second


def images_per_usd(cost: float | None) -> float | None:
    return round(1 / cost, 1) if cost else None


def as_dict(report: Report, price: Price | None) -> dict[str, Any]:
    told = report.model_dump()
    told["price"] = price.model_dump() if price else None
    for row, measurement in zip(told["measurements"], report.measurements, strict=True):
        cost = cost_usd(measurement, price)
        row["cost_usd"] = None if cost is None else round(cost, 8)
        row["images_per_usd"] = images_per_usd(cost)
    return told


def print_report(report: Report, price: Price | None, console: Console) -> None:
    console.print(f"Measured on {report.machine.words}.", markup=False, highlight=False, soft_wrap=True)
    console.print(
        f"{report.model}, scale {report.scale}, Relume {report.relume}", markup=False, highlight=False
    )
    table = Table("image", "provider", "model", box=None, pad_edge=False)
    for name in ("seconds", "min to max", "$ an image", "images a $"):
        table.add_column(name, justify="right", no_wrap=True)
    for measurement in report.measurements:
        cost = cost_usd(measurement, price)
        each = images_per_usd(cost)
        table.add_row(
            f"{measurement.size_class}, {measurement.width}x{measurement.height}",
            measurement.provider,
            measurement.model,
            f"{measurement.seconds:.2f}",
            f"{measurement.seconds_min:.2f} to {measurement.seconds_max:.2f}",
            "no price" if cost is None else f"{cost:.6f}",
            "" if each is None else f"{each:,.0f}",
        )
    console.print(table)
    words = f"Price of the machine: {price.source}." if price else _NO_PRICE
    console.print(words, markup=False, highlight=False, soft_wrap=True)


_NO_PRICE = (
    "The price table has no line for this machine. --usd-per-hour reckons with what it costs you; for another "
    "machine, run `relume cost --json` there and hand its output over with --measured."
)
