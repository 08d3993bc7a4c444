"""`relume evaluate`: how good the results are on one's own photos, with figures and pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from relume.cli.home import read_settings
from relume.cli.restore import SCALE_DEFAULT, recipe_of
from relume.recipes import STRENGTH_DEFAULT

INPUT_DEFAULT, OUTPUT_DEFAULT = "test_inputs", "test_results"


def evaluate(
    photos: Annotated[
        list[str] | None,
        typer.Argument(metavar="INPUT", help=f"Photos and folders of photos; {INPUT_DEFAULT}/ unless named."),
    ] = None,
    output: Annotated[
        Path,
        typer.Option("-o", "--output", metavar="DIR", help="The folder for the report and its pictures."),
    ] = Path(OUTPUT_DEFAULT),
    model: Annotated[
        str | None,
        typer.Option(metavar="ID", help="The model to use; MODEL_DEFAULT in the settings unless named."),
    ] = None,
    scale: Annotated[int, typer.Option(help="How many times wider and higher: 1, 2 or 4.")] = SCALE_DEFAULT,
    strength: Annotated[
        float, typer.Option(help="How much of the repair replaces the original, 0.1 to 1.")
    ] = STRENGTH_DEFAULT,
    allow_paid: Annotated[
        bool, typer.Option("--allow-paid", help="Allow providers that charge for each run.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the report as JSON; progress goes to stderr.")
    ] = False,
) -> None:
    """Restore photos, compare, and write a report with pictures side by side.

    Each photo is worked on twice: as it is, and reduced and compressed first, so that the truth is known.
    """
    named = photos or [INPUT_DEFAULT]
    if "" in named:
        raise typer.BadParameter("A photo's name is empty.")
    inputs = [(Path(photo).absolute(), photo) for photo in named]
    folder = output.absolute()
    settings = read_settings()
    recipe = recipe_of(model or settings.model_default, strength, scale)
    from relume.cli.evaluating.run import evaluate_all

    raise typer.Exit(evaluate_all(settings, recipe, inputs, folder, allow_paid=allow_paid, as_json=as_json))
