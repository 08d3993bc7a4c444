"""One suite, every backend: each test here runs over SQLite and over PostgreSQL, some over a bucket too."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import make_url

from relume.database import Database, database_url
from relume.settings import load_settings
from tests.buckets import Bucket, bucket, s3_server
from tests.engine import Engine, build_engine
from tests.peers import POSTGRES_URL, missing

__all__ = ["bucket", "s3_server"]  # Fixtures.


@pytest.fixture(params=["sqlite", "postgresql"])
async def empty_database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    """A database of the test's own, without tables."""
    if request.param == "sqlite":
        database = Database(
            database_url(load_settings(storage_dir=str(tmp_path / "data"), database_url=None))
        )
        (tmp_path / "data").mkdir()
        yield database
        await database.close()
        return
    asyncpg = pytest.importorskip("asyncpg")
    name = f"relume_test_{uuid4().hex}"
    try:
        admin = await asyncpg.connect(POSTGRES_URL, timeout=5)
    except (OSError, TimeoutError):
        missing("A PostgreSQL server (RELUME_TEST_POSTGRES_URL)")
    await admin.execute(f'create database "{name}"')
    url = make_url(POSTGRES_URL).set(database=name).render_as_string(hide_password=False)
    database = Database(database_url(load_settings(database_url=url)))
    try:
        yield database
    finally:
        await database.close()
        await admin.execute(f'drop database "{name}" with (force)')
        await admin.close()


@pytest.fixture
async def database(empty_database: Database) -> Database:
    await empty_database.upgrade()
    return empty_database


BOTH_STORES = pytest.mark.parametrize("engine", ["folder", "bucket"], indirect=True)
"""For the tests that would notice a store that breaks its promises; the others run over folders alone."""


@pytest.fixture
def engine(request: pytest.FixtureRequest, database: Database, tmp_path: Path) -> Engine:
    own: Bucket | None = None
    if getattr(request, "param", "folder") == "bucket":
        own = request.getfixturevalue("bucket")
    return build_engine(database, tmp_path / "files", bucket=own)
