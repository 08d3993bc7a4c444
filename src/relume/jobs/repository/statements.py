"""What the statements of the repositories share."""

from __future__ import annotations

from typing import Any

from sqlalchemy import CursorResult, Table
from sqlmodel import SQLModel

PLAIN: dict[str, Any] = {"synchronize_session": False}
"""Execution options of a statement in whose session no object of the same rows is held."""


def table_of(kind: type[SQLModel]) -> Table:
    table: Table = kind.__table__  # type: ignore[attr-defined]
    return table


def values_of(row: SQLModel) -> dict[str, Any]:
    """A row as the parameters of an `insert`."""
    return {column.name: getattr(row, column.name) for column in table_of(type(row)).columns}


def rows_changed(result: Any) -> int:
    """By an UPDATE or a DELETE."""
    assert isinstance(result, CursorResult)  # noqa: S101 (an UPDATE always gives one)
    return result.rowcount
