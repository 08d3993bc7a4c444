"""Measure, or read what was measured elsewhere; then reckon."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import anyio
from pydantic import ValidationError
from rich.console import Console

from relume import __version__
from relume.cli.costing.hardware import hardware_prices, this_machine
from relume.cli.costing.measure import DOES_NO_WORK, Measurement, measurable, measure
from relume.cli.costing.report import Report, as_dict, price_of, print_report
from relume.cli.evaluating.report import wide_console
from relume.cli.home import log_faults
from relume.errors import RelumeError
from relume.recipes import Recipe
from relume.settings import Settings

SUCCESS, FAILED, USAGE_ERROR = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Request:
    """The options of the command."""

    provider: str | None
    gpu: str | None
    measured: Path | None
    usd_per_hour: float | None
    runs: int
    allow_paid: bool


class CannotTellError(Exception):
    """What was asked for cannot be measured or read. The message says why."""


def report_cost(settings: Settings, recipe: Recipe, request: Request, *, as_json: bool) -> int:
    """Print the report. Returns the exit code."""
    told = Console(stderr=True)
    try:
        _check_gpu(request)
        report = _read(request.measured) if request.measured else _measure(settings, recipe, request, told)
    except CannotTellError as error:
        _say(told, f"relume: {error}")
        return USAGE_ERROR
    except RelumeError as error:
        _say(told, f"relume: {error.detail}")
        return FAILED
    if request.gpu is not None and not report.machine.is_a(request.gpu):
        _say(told, _elsewhere(request.gpu, report))
        return USAGE_ERROR
    price = price_of(report.machine, request.usd_per_hour)
    if as_json:
        print(json.dumps(as_dict(report, price), indent=2))
    else:
        print_report(report, price, wide_console())
    return SUCCESS


def _check_gpu(request: Request) -> None:
    """Before minutes are spent. Raises CannotTellError."""
    known = hardware_prices().usd_per_second
    if request.gpu is None:
        return
    if request.gpu.lower() not in known and request.usd_per_hour is None:
        raise CannotTellError(f"there is no price for {request.gpu}; known are {', '.join(known)}.")
    machine = this_machine()
    if request.measured is None and not machine.is_a(request.gpu):
        raise CannotTellError(_no_such_gpu(request.gpu, machine.words))


def _no_such_gpu(gpu: str, machine: str) -> str:
    return (
        f"this machine has no {gpu} ({machine}), and its seconds say nothing of one. Run `relume cost --json` on a "
        f"machine with a {gpu}, and hand its output over with --measured FILE."
    )


def _elsewhere(gpu: str, report: Report) -> str:
    return f"relume: the file was not measured on a {gpu} but on {report.machine.words}."


def _measure(settings: Settings, recipe: Recipe, request: Request, told: Console) -> Report:
    providers, left_out = measurable(settings, recipe, request.provider, allow_paid=request.allow_paid)
    if request.provider in DOES_NO_WORK:
        raise CannotTellError(f"{request.provider} is a dummy; its seconds are a setting.")
    if not providers:
        named = f"There is no provider {request.provider}." if request.provider else "Nothing is usable."
        raise CannotTellError(" ".join(["nothing can be measured.", *(left_out or [named])]))
    for sentence in left_out:
        _say(told, f"Left out: {sentence}")
    log_faults(settings)

    async def each() -> list[Measurement]:
        return [
            found
            for provider in providers
            for found in await measure(
                settings, recipe, provider, request.runs, lambda words: _say(told, words)
            )
        ]

    return Report(
        relume=__version__,
        machine=this_machine(),
        model=recipe.model_id,
        scale=recipe.scale,
        measurements=anyio.run(each),
    )


def _read(path: Path) -> Report:
    """Raises CannotTellError."""
    try:
        return Report.model_validate_json(path.read_bytes())
    except OSError as error:
        raise CannotTellError(f"{path} cannot be read ({error.strerror}).") from error
    except ValidationError as error:
        raise CannotTellError(f"{path} is no report that `relume cost --json` wrote.") from error


def _say(console: Console, sentence: str) -> None:
    console.print(sentence, markup=False, highlight=False, soft_wrap=True)
