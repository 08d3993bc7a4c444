"""`relume keys`: API keys for clients."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from relume.cli.home import log_faults, read_settings
from relume.errors import Conflict, NotFound

if TYPE_CHECKING:
    from relume.jobs.keys import KeyRing

T = TypeVar("T")

keys = typer.Typer(help="API keys for clients.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Whose key it is: a word of your choice.", metavar="NAME")]


@keys.command("create")
def create(
    name: Name,
    operator: Annotated[
        bool, typer.Option("--operator", help="The key sees the jobs of all clients, as API_KEY does.")
    ] = False,
    local_only: Annotated[
        bool, typer.Option("--local-only", help="Its photos and prompts are worked on by this machine alone.")
    ] = False,
) -> None:
    """Make a key and show it, this once.

    From then on every request needs a key: this one, another one made so, or API_KEY.
    """
    if not name.strip() or len(name) > 60:
        raise typer.BadParameter("a name has 1 to 60 characters")
    made = _with_keys(lambda ring: ring.create(name.strip(), is_operator=operator, local_only=local_only))
    print(made)


@keys.command("list")
def list_keys() -> None:
    """Show whose keys there are. The keys themselves are kept nowhere."""
    from rich.console import Console
    from rich.table import Table

    table = Table("name", "sees", "made", "state", box=None, pad_edge=False)
    for key in _with_keys(lambda ring: ring.all()):
        state = f"revoked {key.revoked_at:%Y-%m-%d %H:%M}" if key.revoked_at else "works"
        seen = "all jobs" if key.is_operator else "its own jobs"
        seen += ", local only" if key.local_only else ""
        table.add_row(key.name, seen, f"{key.created_at:%Y-%m-%d %H:%M}", state)
    Console().print(table)


@keys.command("revoke")
def revoke(name: Name) -> None:
    """Make a key stop working, within ten seconds.

    Revoking the last key leaves the service closed to all but API_KEY.
    """
    _with_keys(lambda ring: ring.revoke(name))
    print(f"The key of {name} does not work any more.")


def _with_keys(use: Callable[[KeyRing], Awaitable[T]]) -> T:
    settings = read_settings()
    log_faults(settings)
    from relume.wiring.database import opened_keys

    async def work() -> T:
        async with opened_keys(settings) as ring:
            return await use(ring)

    try:
        return asyncio.run(work())
    except (Conflict, NotFound) as error:
        raise typer.BadParameter(error.detail) from error
