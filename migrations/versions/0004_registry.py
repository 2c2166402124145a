"""Add model versions, names, aliases, tags and notes, and the service's own secrets.

Revision 0004, after 0003. Existing models are named after their jobs and numbered in order of
creation.
"""

import re
from collections import Counter

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

# Defined here, so that later changes to the application's types do not change this migration.
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("jobs", sa.Column("model_name", sa.String(length=255), nullable=True))
    op.add_column(
        "models", sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False)
    )
    op.add_column(
        "models", sa.Column("notes", sa.String(length=4000), server_default="", nullable=False)
    )
    op.create_table(
        "model_names",
        sa.Column("owner", sa.String(length=255), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("last_version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("owner", "name", name=op.f("pk_model_names")),
    )
    op.create_table(
        "model_aliases",
        sa.Column("owner", sa.String(length=255), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("alias", sa.String(length=63), nullable=False),
        sa.Column("model_id", sa.String(length=255), nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["model_id"], ["models.id"], name=op.f("fk_model_aliases_model_id")
        ),
        sa.PrimaryKeyConstraint("owner", "name", "alias", name=op.f("pk_model_aliases")),
    )
    op.create_index(op.f("ix_model_aliases_model_id"), "model_aliases", ["model_id"], unique=False)
    op.create_table(
        "model_tags",
        sa.Column("model_id", sa.String(length=255), nullable=False),
        sa.Column("tag", sa.String(length=63), nullable=False),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name=op.f("fk_model_tags_model_id")),
        sa.PrimaryKeyConstraint("model_id", "tag", name=op.f("pk_model_tags")),
    )
    op.create_index("ix_model_tags_found", "model_tags", ["tag", "model_id"], unique=False)
    op.create_table(
        "secrets",
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("value", sa.String(length=255), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_secrets")),
    )
    _number_versions()
    op.create_index("ix_models_version", "models", ["owner", "name", "version"], unique=True)


def _number_versions() -> None:
    models = sa.table(
        "models", *(sa.column(name) for name in ("id", "owner", "name", "architecture", "version"))
    )
    connection, counts = op.get_bind(), Counter[tuple[str, str]]()
    query = sa.select(models.c.id, models.c.owner, models.c.name, models.c.architecture).order_by(
        models.c.id
    )
    for model_id, owner, job_name, architecture in connection.execute(query).all():
        name = _normalize_name(job_name) or _normalize_name(architecture) or "model"
        counts[owner, name] += 1
        values = {"name": name, "version": counts[owner, name]}
        connection.execute(sa.update(models).where(models.c.id == model_id).values(**values))
    names = sa.table(
        "model_names", *(sa.column(name) for name in ("owner", "name", "last_version"))
    )
    rows = [
        {"owner": owner, "name": name, "last_version": last}
        for (owner, name), last in counts.items()
    ]
    if rows:
        connection.execute(sa.insert(names), rows)


def _normalize_name(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-._")[:128].strip("-._")


def downgrade() -> None:
    op.drop_index("ix_models_version", table_name="models")
    for table in ("secrets", "model_tags", "model_aliases", "model_names"):
        op.drop_table(table)
    for column in ("notes", "version"):
        op.drop_column("models", column)
    op.drop_column("jobs", "model_name")
