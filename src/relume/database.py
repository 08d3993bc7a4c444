"""The connection to SQLite or PostgreSQL, and its migrations."""

from __future__ import annotations

import asyncio
import re
import sqlite3
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any, TypeVar

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, event, make_url, text
from sqlalchemy.engine import URL, Engine
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import sessionmaker

from relume.database_connection import connect
from relume.errors import SettingsError
from relume.jobs.group_commit import GroupCommit, Work
from relume.settings import Settings

T = TypeVar("T")

_SQLITE_ARGUMENTS = {"timeout": 30}
"""How many seconds a writer waits for the writer of another process."""
_READERS = 4
_ASYNCPG_NAMES = {"sslmode": "ssl"}
"""Parameters of other drivers' URLs, by what asyncpg calls them."""
_READING = "relume_reading"
_WAL_TRIES, _WAL_PAUSE_SECONDS = 200, 0.02
_MIGRATION_LOCK = 7_360_211
"""PostgreSQL advisory lock: several processes may start at once, one migrates."""


def database_url(settings: Settings) -> URL:
    """The async URL for any spelling of the setting. Raises SettingsError."""
    if not settings.database_url and settings.bucket:
        raise SettingsError(
            "STORAGE_DIR is a bucket, so DATABASE_URL has to say where the database is: postgresql://…, or "
            "sqlite:///relume.sqlite3 for one machine."
        )
    if not settings.database_url:
        return URL.create("sqlite+aiosqlite", database=str(settings.storage_folder / "relume.sqlite3"))
    try:
        url = make_url(re.sub(r"^postgres(?=[+:])", "postgresql", settings.database_url))
    except ArgumentError as error:
        raise SettingsError("DATABASE_URL is wrong: it is not a database URL.") from error
    drivers = {"postgresql": "postgresql+asyncpg", "sqlite": "sqlite+aiosqlite"}
    kind = url.get_backend_name()
    if kind not in drivers:
        raise SettingsError(f"DATABASE_URL is wrong: '{kind}' is neither postgresql nor sqlite.")
    query = {_ASYNCPG_NAMES.get(name, name): value for name, value in url.query.items()}
    return url.set(drivername=drivers[kind], query=query)


class Database:
    """One engine for the life of a process."""

    def __init__(self, url: URL) -> None:
        self.url = url
        self.engine = _engine(url)
        self._sessions = async_sessionmaker(self.engine, expire_on_commit=False)
        reading = self.engine.execution_options(**{_READING: True})
        self._reading_sessions = async_sessionmaker(reading, expire_on_commit=False)
        self._threads = _SqliteThreads(url) if _is_sqlite_file(url) else None
        self._group = GroupCommit(self._commit)
        self._one_writer: AbstractAsyncContextManager[Any] = nullcontext()
        if url.get_backend_name() == "sqlite":
            self._one_writer = asyncio.Lock()  # Else writers of this process wait for each other by polling.

    async def write(self, work: Work[T], order: str = "") -> T:
        """Run `work` in a transaction, which it may share with others; on return it is committed.

        Raises what `work` raises. `work` may be called twice. `order`: see GroupCommit.
        """
        return await self._group.write(work, order)

    async def read(self, work: Work[T]) -> T:
        """Run `work`, which only reads. On SQLite it waits for no writer, and no writer waits for it."""
        if self._threads is not None:
            return await self._threads.read(work)
        async with self.reading() as session:
            return await session.run_sync(work)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """A session whose work is committed at the end of the block, or undone by an exception."""
        async with self._one_writer, self._sessions() as session, session.begin():
            yield session

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        """A session that only reads. On SQLite it waits for no writer, and no writer waits for it."""
        async with self._reading_sessions() as session:
            yield session

    async def upgrade(self) -> None:
        """Bring the tables to this version's shape. Safe to call from many processes at once."""
        if _is_sqlite_file(self.url):
            Path(str(self.url.database)).parent.mkdir(parents=True, exist_ok=True)
        async with self.engine.begin() as connection:
            await connection.run_sync(_upgrade)

    async def is_current(self) -> bool:
        """Whether all migrations have been applied."""
        async with self.engine.connect() as connection:
            return bool(await connection.run_sync(_is_current))

    async def check(self) -> None:
        """Raises when the database does not answer."""
        async with self.engine.connect() as connection:
            await connection.execute(text("select 1"))

    async def close(self) -> None:
        await self._group.drain()
        if self._threads is not None:
            await self._threads.close()
        await self.engine.dispose()

    async def _commit(self, work: Work[T]) -> T:
        if self._threads is not None:
            async with self._one_writer:
                return await self._threads.write(work)
        async with self.transaction() as session:
            return await session.run_sync(work)


class _SqliteThreads:
    """SQLite as it is, in threads: one change of threads for a whole transaction instead of one a statement."""

    def __init__(self, url: URL) -> None:
        self._engine = _prepared(create_engine(url.set(drivername="sqlite"), connect_args=_SQLITE_ARGUMENTS))
        self._sessions = sessionmaker(self._engine, expire_on_commit=False)
        reading = self._engine.execution_options(**{_READING: True})
        self._reading_sessions = sessionmaker(reading, expire_on_commit=False)
        self._writer = ThreadPoolExecutor(1, "database-writer")
        self._readers = ThreadPoolExecutor(_READERS, "database-reader")

    async def write(self, work: Work[T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._writer, self._write, work)

    async def read(self, work: Work[T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._read, work)

    async def close(self) -> None:
        await asyncio.to_thread(self._close)

    def _write(self, work: Work[T]) -> T:
        with self._sessions() as session, session.begin():
            return work(session)

    def _read(self, work: Work[T]) -> T:
        with self._reading_sessions() as session:
            return work(session)

    def _close(self) -> None:
        self._writer.shutdown()
        self._readers.shutdown()
        self._engine.dispose()


def _is_sqlite_file(url: URL) -> bool:
    return url.get_backend_name() == "sqlite" and url.database not in (None, "", ":memory:")


def _engine(url: URL) -> AsyncEngine:
    if url.get_backend_name() != "sqlite":
        patient = {"async_creator_fn": connect}
        return create_async_engine(
            url, pool_pre_ping=True, pool_size=10, max_overflow=20, connect_args=patient
        )
    engine = create_async_engine(url, connect_args=_SQLITE_ARGUMENTS)
    _prepared(engine.sync_engine)
    return engine


def _prepared(engine: Engine) -> Engine:
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_immediate)
    return engine


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # We say BEGIN ourselves: see _begin_immediate.
    cursor = connection.cursor()
    _use_wal(cursor)
    cursor.execute("pragma synchronous = full")  # An accepted photo survives a power cut, too.
    cursor.execute("pragma foreign_keys = on")
    cursor.close()


def _use_wal(cursor: Any) -> None:
    """Switch to the write-ahead log, once for the life of the file.

    SQLite does not wait here as it does elsewhere: while another process that has just started does the same,
    it says "locked" at once.
    """
    for attempt in range(_WAL_TRIES):
        try:
            cursor.execute("pragma journal_mode = wal")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or attempt == _WAL_TRIES - 1:
                raise
            time.sleep(_WAL_PAUSE_SECONDS)
        else:
            return


def _begin_immediate(connection: Connection) -> None:
    """Take the write lock first: a transaction that reads and then writes can otherwise fail as busy."""
    if not connection.get_execution_options().get(_READING):
        connection.exec_driver_sql("begin immediate")


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", "relume:migrations")
    config.set_main_option("path_separator", "os")
    return config


def _upgrade(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("select pg_advisory_xact_lock(:lock)"), {"lock": _MIGRATION_LOCK})
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _is_current(connection: Connection) -> bool:
    heads = set(ScriptDirectory.from_config(_config()).get_heads())
    return set(MigrationContext.configure(connection).get_current_heads()) == heads
