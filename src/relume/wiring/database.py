"""The tables at the start of a process, and what of them the command line needs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from relume.database import Database, database_url
from relume.errors import SettingsError
from relume.jobs.keys import KeyRing
from relume.settings import Settings
from relume.wiring.roles import SystemClock


async def prepare_tables(database: Database, settings: Settings) -> None:
    """Bring the tables up to date, or see that they are. Raises SettingsError.

    A file of SQLite is made by whoever comes first, so it is always brought up to date.
    """
    is_file = database.url.get_backend_name() == "sqlite"
    if is_file or settings.database_upgrade_at_start:
        await database.upgrade()
    elif not await database.is_current():
        raise SettingsError(
            "DATABASE_UPGRADE_AT_START is false, and the tables are not those of this version. "
            "Run `relume db upgrade` once, then start again."
        )


@asynccontextmanager
async def opened_keys(settings: Settings) -> AsyncIterator[KeyRing]:
    """The API keys alone, for the command line."""
    database = Database(database_url(settings))
    try:
        await database.upgrade()
        yield KeyRing(database, SystemClock())
    finally:
        await database.close()
