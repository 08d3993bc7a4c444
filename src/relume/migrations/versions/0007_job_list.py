"""What the list of jobs is filtered and searched by."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from relume.jobs.filenames import folded

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_INDEXES = {
    "ix_jobs_status_created_at": "status",
    "ix_jobs_client_created_at": "client",
    "ix_jobs_model_id_created_at": "model_id",
}
_JOBS = sa.table(
    "jobs",
    sa.column("id", sa.Uuid()),
    sa.column("original_filename", sa.String()),
    sa.column("parameters", sa.JSON()),
    sa.column("search_text", sa.Text()),
)
_ROWS_AT_ONCE = 1000


def upgrade() -> None:
    op.add_column("jobs", sa.Column("search_text", sa.Text(), nullable=True))
    _fill()
    for name, column in _INDEXES.items():
        op.create_index(name, "jobs", [column, "created_at"])


def _fill() -> None:
    """The jobs there are, some at a time: their prompts need not be in memory together."""
    connection = op.get_bind()
    named = sa.or_(_JOBS.c.original_filename.is_not(None), _JOBS.c.parameters.is_not(None))
    rows = sa.select(_JOBS.c.id, _JOBS.c.original_filename, _JOBS.c.parameters).order_by(_JOBS.c.id)
    fill = (
        sa.update(_JOBS)
        .where(_JOBS.c.id == sa.bindparam("filled"))
        .values(search_text=sa.bindparam("found_by"))
    )
    some = connection.execute(rows.where(named).limit(_ROWS_AT_ONCE)).all()
    while some:
        texts = {row.id: row.original_filename or (row.parameters or {}).get("prompt") for row in some}
        values = [{"filled": job, "found_by": folded(text)} for job, text in texts.items() if text]
        if values:
            connection.execute(fill, values)
        some = connection.execute(rows.where(named, _JOBS.c.id > some[-1].id).limit(_ROWS_AT_ONCE)).all()


def downgrade() -> None:
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        for name in _INDEXES:
            batch_op.drop_index(name)
        batch_op.drop_column("search_text")
