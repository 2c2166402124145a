"""Add resumable uploads, and allow models that no job of this service has produced.

Revision 0005, after 0004. On SQLite, `models` must be copied to make its `job_id` nullable.
Meanwhile, the rows that reference `models` are set aside.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"

# Defined here, so that later changes to the application's types do not change this migration.
MOMENT = sa.DateTime(timezone=True)
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")

_DEPENDENT_TABLES = ("model_files", "model_aliases", "model_tags")


def upgrade() -> None:
    op.create_table(
        "uploads",
        sa.Column("id", sa.String(length=255), nullable=False),
        sa.Column("owner", sa.String(length=255), nullable=False),
        sa.Column("filename", sa.String(length=255), nullable=False),
        sa.Column("told", sa.String(length=4096), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("received", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=True),
        sa.Column("digest", sa.String(length=64), nullable=True),
        sa.Column("used", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("holder", sa.String(length=255), nullable=True),
        sa.Column("held_until", MOMENT, nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_uploads")),
    )
    for column in ("owner", "digest", "expires_at"):
        op.create_index(op.f(f"ix_uploads_{column}"), "uploads", [column], unique=False)
    op.add_column("models", sa.Column("imported", JSON, nullable=True))
    with _tables_set_aside(), op.batch_alter_table("models") as batch_op:
        batch_op.alter_column("job_id", existing_type=sa.String(length=255), nullable=True)


def downgrade() -> None:
    models = sa.table("models", sa.column("id"), sa.column("job_id"))
    orphans = sa.select(models.c.id).where(models.c.job_id.is_(None))
    for name in _DEPENDENT_TABLES:
        table = sa.table(name, sa.column("model_id"))
        op.execute(sa.delete(table).where(table.c.model_id.in_(orphans)))
    op.execute(sa.delete(models).where(models.c.job_id.is_(None)))
    with _tables_set_aside(), op.batch_alter_table("models") as batch_op:
        batch_op.alter_column("job_id", existing_type=sa.String(length=255), nullable=False)
    op.drop_column("models", "imported")
    op.drop_table("uploads")


@contextmanager
def _tables_set_aside() -> Iterator[None]:
    """Remove the rows that reference models, and insert them again after the `with` block.

    This is done only on SQLite, where the original table is dropped after it has been copied.
    """
    if op.get_bind().dialect.name != "sqlite":
        yield
        return
    connection = op.get_bind()
    tables = {
        name: sa.Table(name, sa.MetaData(), autoload_with=connection, resolve_fks=False)
        for name in _DEPENDENT_TABLES
    }
    rows = {
        name: [row._asdict() for row in connection.execute(sa.select(table))]
        for name, table in tables.items()
    }
    for table in tables.values():
        connection.execute(sa.delete(table))
    yield
    for name, table in tables.items():
        if rows[name]:
            connection.execute(sa.insert(table), rows[name])
