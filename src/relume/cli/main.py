"""The command line: `relume`. One file a command; a command imports what is heavy only when it runs."""

from __future__ import annotations

import io
import sys
from typing import Annotated

import typer

from relume import __version__
from relume.cli import cost, db, doctor, evaluate, keys, models, restore, serve, worker
from relume.errors import SettingsError

USAGE_ERROR = 2

app = typer.Typer(
    help="Restores old photos.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("serve")(serve.serve)
app.command("worker")(worker.worker)
app.command("restore")(restore.restore)
app.command("evaluate")(evaluate.evaluate)
app.command("cost")(cost.cost)
app.command("doctor")(doctor.doctor)
app.add_typer(keys.keys, name="keys")
app.add_typer(db.db, name="db")
app.add_typer(models.app, name="models")


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"relume {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    """The options that stand before a command."""


def main() -> None:
    """The program. A wrong setting is one sentence and exit code 2."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # A file name may hold what the terminal cannot show.
            stream.reconfigure(errors="replace")
    try:
        app(prog_name="relume")
    except SettingsError as error:
        print(f"relume: {error.detail}", file=sys.stderr)
        raise SystemExit(USAGE_ERROR) from None
