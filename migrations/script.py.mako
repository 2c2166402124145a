"""${message}.

Revision ${up_revision}, ${"after " + down_revision if down_revision else "the first"}.
"""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from alembic import op

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}

# Defined here, so that later changes to the application's types do not change this migration.
MOMENT = sa.DateTime(timezone=True)
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
AUTO_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    ${downgrades if downgrades else "pass"}
