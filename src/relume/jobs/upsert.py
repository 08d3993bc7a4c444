"""Inserting, or changing the row that is there already, in one statement."""

from __future__ import annotations

from typing import Any

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session


def upsert(session: AsyncSession | Session, table: Any) -> Any:
    """An `insert` that has `on_conflict_do_update`, in the words of the session's database."""
    is_sqlite = session.get_bind().dialect.name == "sqlite"
    return sqlite.insert(table) if is_sqlite else postgresql.insert(table)
