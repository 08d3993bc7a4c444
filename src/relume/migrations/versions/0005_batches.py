"""Batches: groups of jobs that one request made, contract C."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "batches",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("contract", sa.String(length=20), nullable=False),
        sa.Column("client", sa.String(length=100), nullable=True),
        sa.Column("options", sa.JSON(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    # References stand in the column: as constraints of their own, SQLite would need the tables copied.
    for table in ("jobs", "idempotency_keys"):
        reference = sa.ForeignKey("batches.id")
        op.add_column(table, sa.Column("batch_id", sa.Uuid(), reference), inline_references=True)
    op.add_column("jobs", sa.Column("batch_index", sa.Integer(), nullable=True))
    op.add_column("jobs", sa.Column("original_filename", sa.String(length=255), nullable=True))
    op.create_index("ix_jobs_batch_id_batch_index", "jobs", ["batch_id", "batch_index"], unique=True)
    op.create_index("ix_jobs_status_lane_created_at", "jobs", ["status", "lane", "created_at"])
    op.create_index("ix_idempotency_keys_batch_id", "idempotency_keys", ["batch_id"])


def downgrade() -> None:
    with op.batch_alter_table("idempotency_keys", schema=None) as batch_op:
        batch_op.drop_index("ix_idempotency_keys_batch_id")
        batch_op.drop_column("batch_id")
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.drop_index("ix_jobs_status_lane_created_at")
        batch_op.drop_index("ix_jobs_batch_id_batch_index")
        batch_op.drop_column("original_filename")
        batch_op.drop_column("batch_index")
        batch_op.drop_column("batch_id")
    op.drop_table("batches")
