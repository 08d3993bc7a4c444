"""Alembic's entry: migrates over the connection that relume.database hands in."""

from __future__ import annotations

from alembic import context
from sqlmodel import SQLModel

from relume.jobs import models

assert models.Job.metadata is SQLModel.metadata  # noqa: S101 (the import registers the tables)

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=SQLModel.metadata,
    render_as_batch=True,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
