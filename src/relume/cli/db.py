"""`relume db`: the tables of the database."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import typer

from relume.cli.home import read_settings

if TYPE_CHECKING:
    from relume.database import Database

T = TypeVar("T")

NOT_CURRENT = 1

db = typer.Typer(help="Look after the database's tables.", no_args_is_help=True)


@db.command()
def upgrade() -> None:
    """Bring the tables to this version's shape. Repeating it does no harm."""
    _with_database(lambda database: database.upgrade())
    print("The tables are those of this version.")


@db.command()
def check() -> None:
    """Say whether the tables are those of this version. Exit code 1 if they are not."""
    if not _with_database(lambda database: database.is_current()):
        print("The tables are not those of this version. Run `relume db upgrade`.")
        raise typer.Exit(NOT_CURRENT)
    print("The tables are those of this version.")


def _with_database(do: Callable[[Database], Awaitable[T]]) -> T:
    """Exit code 1, and a sentence, when the database cannot be reached."""
    import anyio
    from sqlalchemy.exc import SQLAlchemyError

    from relume.cli.home import log_faults
    from relume.database import Database, database_url

    settings = read_settings()
    log_faults(settings)
    database = Database(database_url(settings))

    async def whole() -> T:
        try:
            return await do(database)
        finally:
            await database.close()

    try:
        return anyio.run(whole)
    except (SQLAlchemyError, OSError) as error:
        where = database.url.render_as_string(hide_password=True)
        typer.echo(f"relume: {where} cannot be used ({str(error).splitlines()[0]})", err=True)
        raise typer.Exit(NOT_CURRENT) from None
