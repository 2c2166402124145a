"""Data sets: images of each class, and a picture of some of them.

Revision 0008, after 0007. Data sets of before have neither: what they hold is known to their packed files alone.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"

# A migration stays what it was: it names its types itself, whatever becomes of the program's.
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
