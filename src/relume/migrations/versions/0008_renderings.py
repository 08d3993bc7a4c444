"""Other strengths after the fact, work that stays on this machine, and what the overview reads."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

SUCCEEDED = sa.text("status = 'succeeded'")


def upgrade() -> None:
    op.add_column("jobs", sa.Column("local_only", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("jobs", sa.Column("render_of", sa.Uuid(), nullable=True))
    op.add_column("jobs", sa.Column("unmixed_key", sa.String(), nullable=True))
    op.add_column(
        "api_keys", sa.Column("local_only", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    op.create_index("ix_jobs_status_finished_at", "jobs", ["status", "finished_at"])
    op.create_index(
        "ix_jobs_succeeded",
        "jobs",
        ["model_id", "finished_at"],
        sqlite_where=SUCCEEDED,
        postgresql_where=SUCCEEDED,
    )
    op.create_index(
        "ix_attempts_started_at", "attempts", ["started_at", "provider", "error_class", "cost_usd"]
    )
    op.create_index("ix_usage_days_day", "usage_days", ["day"])


def downgrade() -> None:
    op.drop_index("ix_usage_days_day", table_name="usage_days")
    op.drop_index("ix_attempts_started_at", table_name="attempts")
    op.drop_index("ix_jobs_succeeded", table_name="jobs")
    op.drop_index("ix_jobs_status_finished_at", table_name="jobs")
    with op.batch_alter_table("api_keys", schema=None) as batch_op:
        batch_op.drop_column("local_only")
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.drop_column("unmixed_key")
        batch_op.drop_column("render_of")
        batch_op.drop_column("local_only")
