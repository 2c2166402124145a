"""Store a report about the health of each dataset, and thumbnails of its examples.

Revision 0011, after 0010. Existing datasets get neither, because both are computed from the images,
which a migration does not read.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0012"
down_revision = "0011"

# Defined here, so that later changes to the application's types do not change this migration.
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    with op.batch_alter_table("datasets") as table:
        table.add_column(sa.Column("report", JSON, nullable=True))
        table.add_column(sa.Column("examples_sha256", sa.String(length=64), nullable=True))
        table.create_index(op.f("ix_datasets_examples_sha256"), ["examples_sha256"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("datasets") as table:
        table.drop_index(op.f("ix_datasets_examples_sha256"))
        for name in ("examples_sha256", "report"):
            table.drop_column(name)
