"""Add roles and owners of API keys, request origins in the audit log, quotas and webhooks.

Revision 0003, after 0002. Existing keys had full access and keep it. Each key owns the rows
that were created with it.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"

# Defined here, so that later changes to the application's types do not change this migration.
MOMENT = sa.DateTime(timezone=True)
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def _columns() -> dict[str, list[sa.Column]]:
    """Build the new columns of each table.

    Each call builds new objects, because SQLAlchemy allows only one use of each column object.
    """
    return {
        "api_keys": [
            sa.Column("role", sa.String(length=16), server_default="viewer", nullable=False),
            sa.Column("owner", sa.String(length=255), server_default="", nullable=False),
            sa.Column("old_hash", sa.String(length=64), nullable=True),
            sa.Column("old_until", MOMENT, nullable=True),
            sa.Column("revoked_at", MOMENT, nullable=True),
        ],
        "audit_events": [
            sa.Column("role", sa.String(length=16), nullable=True),
            sa.Column("owner", sa.String(length=255), nullable=True),
            sa.Column("address", sa.String(length=64), nullable=True),
            sa.Column("request_id", sa.String(length=64), nullable=True),
        ],
    }


def upgrade() -> None:
    for table, columns in _columns().items():
        for column in columns:
            op.add_column(table, column)
    op.create_index("ix_api_keys_owner", "api_keys", ["owner"], unique=False)
    op.execute("UPDATE api_keys SET role = 'admin', owner = id, scopes = '[]'")
    _create_quotas()
    _create_webhooks()


def _create_quotas() -> None:
    op.create_table(
        "quotas",
        sa.Column("owner", sa.String(length=255), nullable=False),
        sa.Column("queued_jobs", sa.BigInteger(), nullable=True),
        sa.Column("running_jobs", sa.BigInteger(), nullable=True),
        sa.Column("stored_bytes", sa.BigInteger(), nullable=True),
        sa.Column("device_seconds", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("owner", name=op.f("pk_quotas")),
    )
    op.create_table(
        "device_use",
        sa.Column("owner", sa.String(length=255), nullable=False),
        sa.Column("month", sa.String(length=7), nullable=False),
        sa.Column("seconds", sa.Float(precision=53), nullable=False),
        sa.PrimaryKeyConstraint("owner", "month", name=op.f("pk_device_use")),
    )


def _create_webhooks() -> None:
    op.create_table(
        "webhooks",
        sa.Column("id", sa.String(length=255), nullable=False),
        sa.Column("owner", sa.String(length=255), nullable=False),
        sa.Column("url", sa.String(length=2000), nullable=False),
        sa.Column("events", JSON, nullable=False),
        sa.Column("secret", sa.String(length=64), nullable=False),
        sa.Column("enabled", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhooks")),
    )
    op.create_index("ix_webhooks_owner", "webhooks", ["owner"], unique=False)
    op.create_table(
        "webhook_deliveries",
        sa.Column("id", sa.String(length=255), nullable=False),
        sa.Column("webhook_id", sa.String(length=255), nullable=False),
        sa.Column("type", sa.String(length=64), nullable=False),
        sa.Column("payload", JSON, nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("next_at", MOMENT, nullable=False),
        sa.Column("code", sa.Integer(), nullable=True),
        sa.Column("error", sa.String(length=255), nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("finished_at", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(
            ["webhook_id"], ["webhooks.id"], name=op.f("fk_webhook_deliveries_webhook_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_deliveries")),
    )
    op.create_index(
        "ix_webhook_deliveries_webhook_id", "webhook_deliveries", ["webhook_id"], unique=False
    )
    op.create_index(
        "ix_webhook_deliveries_due", "webhook_deliveries", ["status", "next_at"], unique=False
    )
    op.create_index(
        "ix_webhook_deliveries_created_at", "webhook_deliveries", ["created_at"], unique=False
    )


def downgrade() -> None:
    # The previous version gives every key full access, so keys with fewer rights are deleted.
    op.execute(
        "DELETE FROM api_keys WHERE role <> 'admin' OR revoked_at IS NOT NULL "
        "OR CAST(scopes AS VARCHAR) <> '[]'"
    )
    op.drop_table("webhook_deliveries")
    op.drop_table("webhooks")
    op.drop_table("device_use")
    op.drop_table("quotas")
    op.drop_index("ix_api_keys_owner", table_name="api_keys")
    for table, columns in _columns().items():
        for column in reversed(columns):
            op.drop_column(table, column.name)
