"""Indexes of what the janitor still has to do, however many jobs have ended."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

KEPT = sa.text("files_deleted_at is null")
STAGED = sa.text("staged_key is not null")


def upgrade() -> None:
    op.drop_index("ix_jobs_files_expire_at", table_name="jobs")
    op.create_index(
        "ix_jobs_files_expire_at", "jobs", ["files_expire_at"], sqlite_where=KEPT, postgresql_where=KEPT
    )
    op.create_index("ix_jobs_staged", "jobs", ["finished_at"], sqlite_where=STAGED, postgresql_where=STAGED)


def downgrade() -> None:
    op.drop_index("ix_jobs_staged", table_name="jobs")
    op.drop_index("ix_jobs_files_expire_at", table_name="jobs")
    op.create_index("ix_jobs_files_expire_at", "jobs", ["files_expire_at"])
