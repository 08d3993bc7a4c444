"""`relume restore`: photos and folders of photos, with no server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from relume.cli.home import read_settings
from relume.errors import InvalidInput
from relume.recipes import STRENGTH_DEFAULT, STRENGTH_MAX, STRENGTH_MIN, Recipe, build

SCALE_DEFAULT = 2


def restore(
    photos: Annotated[
        list[str], typer.Argument(metavar="PHOTO", help="Photos, and folders to search for photos.")
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="DIR", help="The folder for the results.")
    ] = Path("restored"),
    scale: Annotated[int, typer.Option(help="How many times wider and higher: 1, 2 or 4.")] = SCALE_DEFAULT,
    strength: Annotated[
        float,
        typer.Option(help=f"How much of the repair replaces the original, {STRENGTH_MIN} to {STRENGTH_MAX}."),
    ] = STRENGTH_DEFAULT,
    model: Annotated[
        str | None,
        typer.Option(metavar="ID", help="The model to use; MODEL_DEFAULT in the settings unless named."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the summary as JSON; progress goes to stderr.")
    ] = False,
) -> None:
    """Restore photos into a folder of their own; the originals stay untouched.

    It may be stopped at any time: the same command goes on where it stopped.
    """
    if "" in photos:  # `relume restore "$UNSET"` must not mean the present folder.
        raise typer.BadParameter("A photo's name is empty.")
    inputs = [(Path(photo).absolute(), photo) for photo in photos]
    folder = output.absolute()
    settings = read_settings()
    recipe = recipe_of(model or settings.model_default, strength, scale)
    from relume.cli.restoring.run import restore_all

    raise typer.Exit(restore_all(settings, recipe, inputs, folder, as_json=as_json))


def recipe_of(model: str, strength: float, scale: int) -> Recipe:
    try:
        return build(model, strength=strength, scale=scale)
    except InvalidInput as error:
        raise typer.BadParameter(error.detail) from None
