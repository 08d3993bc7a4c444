"""The tables that migrations make are the tables that the code expects."""

from __future__ import annotations

import asyncio
from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, inspect
from sqlmodel import SQLModel

from relume.database import Database


async def test_migrations_make_exactly_the_models_tables(database: Database) -> None:
    def differences(connection: Connection) -> list[Any]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, SQLModel.metadata))

    async with database.engine.connect() as connection:
        assert await connection.run_sync(differences) == []


async def test_upgrading_again_changes_nothing(database: Database) -> None:
    await database.upgrade()
    assert await database.is_current()


async def test_a_new_database_is_not_current(empty_database: Database) -> None:
    assert not await empty_database.is_current()


async def test_many_processes_may_upgrade_at_once(empty_database: Database) -> None:
    others = [Database(empty_database.url) for _ in range(4)]
    await asyncio.gather(empty_database.upgrade(), *(other.upgrade() for other in others))
    assert await empty_database.is_current()
    for other in others:
        await other.close()


async def test_migrations_can_be_undone(database: Database) -> None:
    def undo(connection: Connection) -> list[str]:
        config = Config()
        config.set_main_option("script_location", "relume:migrations")
        config.set_main_option("path_separator", "os")
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
        return inspect(connection).get_table_names()

    async with database.engine.begin() as connection:
        assert await connection.run_sync(undo) == ["alembic_version"]
