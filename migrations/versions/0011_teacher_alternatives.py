"""Store which other networks a teacher may belong to.

Revision 0011, after 0010. Teachers that were checked before have no alternatives.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0011"
down_revision = "0010"

# Defined here, so that later changes to the application's types do not change this migration.
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    with op.batch_alter_table("teachers") as table:
        table.add_column(sa.Column("alternatives", JSON, nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("teachers") as table:
        table.drop_column("alternatives")
