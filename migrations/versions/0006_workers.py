"""Add the version, queues and draining state of workers, and allow jobs to use several slots.

Revision 0006, after 0005.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"

# Defined here, so that later changes to the application's types do not change this migration.
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    op.add_column(
        "jobs", sa.Column("processes", sa.Integer(), server_default=sa.text("1"), nullable=False)
    )
    op.add_column(
        "workers", sa.Column("version", sa.String(length=255), server_default="", nullable=False)
    )
    op.add_column(
        "workers", sa.Column("queues", JSON, server_default=sa.text("'[]'"), nullable=False)
    )
    op.add_column("workers", sa.Column("draining", sa.String(length=16), nullable=True))


def downgrade() -> None:
    for column in ("draining", "queues", "version"):
        op.drop_column("workers", column)
    op.drop_column("jobs", "processes")
