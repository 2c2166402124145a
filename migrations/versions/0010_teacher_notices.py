"""Store notices about how teachers were read.

Revision 0010, after 0009. Teachers that were checked before have no notices.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0009"

# Defined here, so that later changes to the application's types do not change this migration.
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    with op.batch_alter_table("teachers") as table:
        table.add_column(sa.Column("notices", JSON, nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("teachers") as table:
        table.drop_column("notices")
