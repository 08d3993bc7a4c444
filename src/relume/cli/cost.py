"""`relume cost`: seconds and dollars an image, measured by running."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from relume.cli.home import read_settings
from relume.cli.restore import SCALE_DEFAULT, recipe_of


def cost(
    provider: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Measure this provider alone; all that are usable unless named."),
    ] = None,
    gpu: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The hardware to reckon with, such as t4 or a10g: it must be what was measured.",
        ),
    ] = None,
    measured: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Measure nothing: read what `relume cost --json` wrote on another machine."
        ),
    ] = None,
    usd_per_hour: Annotated[
        float | None,
        typer.Option(min=0, help="What this machine costs an hour, where the price table lacks it."),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(metavar="ID", help="The model to measure; MODEL_DEFAULT in the settings unless named."),
    ] = None,
    scale: Annotated[int, typer.Option(help="How many times wider and higher: 1, 2 or 4.")] = SCALE_DEFAULT,
    runs: Annotated[
        int, typer.Option(min=1, max=100, help="Timed runs of each image, after one to warm up.")
    ] = 3,
    allow_paid: Annotated[
        bool,
        typer.Option("--allow-paid", help="Also measure providers that send photos out, and may charge."),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the report as JSON, which --measured reads.")
    ] = False,
) -> None:
    """Measure the seconds an image takes here, and what that costs.

    Two images are made and restored, a JPEG of about 90 KB and one of about 276 KB. Nothing is downloaded.
    """
    report_file = measured.absolute() if measured else None
    settings = read_settings()
    recipe = recipe_of(model or settings.model_default, 1.0, scale)
    from relume.cli.costing.run import Request, report_cost

    request = Request(provider, gpu, report_file, usd_per_hour, runs, allow_paid)
    raise typer.Exit(report_cost(settings, recipe, request, as_json=as_json))
