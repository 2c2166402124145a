"""Uploads in several requests, and models that no job of this service made.

Revision 0005, after 0004. SQLite copies `models` to let a model have no job: what hangs on it steps aside meanwhile.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"

# A migration stays what it was: it names its types itself, whatever becomes of the program's.
MOMENT = sa.DateTime(timezone=True)
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")

_HANGING = ("model_files", "model_aliases", "model_tags")


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
    with _aside(), op.batch_alter_table("models") as batch_op:
        batch_op.alter_column("job_id", existing_type=sa.String(length=255), nullable=True)


def downgrade() -> None:
    models = sa.table("models", sa.column("id"), sa.column("job_id"))
    orphans = sa.select(models.c.id).where(models.c.job_id.is_(None))
    for name in _HANGING:
        table = sa.table(name, sa.column("model_id"))
        op.execute(sa.delete(table).where(table.c.model_id.in_(orphans)))
    op.execute(sa.delete(models).where(models.c.job_id.is_(None)))
    with _aside(), op.batch_alter_table("models") as batch_op:
        batch_op.alter_column("job_id", existing_type=sa.String(length=255), nullable=False)
    op.drop_column("models", "imported")
    op.drop_table("uploads")


@contextmanager
def _aside() -> Iterator[None]:
    """The rows that name models are taken out for the block: SQLite drops the table that it has copied."""
    if op.get_bind().dialect.name != "sqlite":
        yield
        return
    connection = op.get_bind()
    kept = {name: sa.Table(name, sa.MetaData(), autoload_with=connection, resolve_fks=False) for name in _HANGING}
    rows = {name: [row._asdict() for row in connection.execute(sa.select(table))] for name, table in kept.items()}
    for table in kept.values():
        connection.execute(sa.delete(table))
    yield
    for name, table in kept.items():
        if rows[name]:
            connection.execute(sa.insert(table), rows[name])
