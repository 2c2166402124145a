"""Add image counts per class and a contact sheet of sample images to datasets.

Revision 0008, after 0007. Existing datasets get neither, because both are
computed from the images, which a migration does not read.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"

# Defined here, so that later changes to the application's types do not change this migration.
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    with op.batch_alter_table("datasets") as table:
        table.add_column(sa.Column("class_counts", JSON, nullable=True))
        table.add_column(sa.Column("samples", JSON, nullable=True))
        table.add_column(sa.Column("samples_sha256", sa.String(length=64), nullable=True))
        table.create_index(op.f("ix_datasets_samples_sha256"), ["samples_sha256"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("datasets") as table:
        table.drop_index(op.f("ix_datasets_samples_sha256"))
        for name in ("samples_sha256", "samples", "class_counts"):
            table.drop_column(name)
