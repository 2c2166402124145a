"""Add labels, notes, deadlines, resources and logs of jobs, and the progress of attempts.

Revision 0002, after 0001. On SQLite, columns are added and dropped in place, since
copying `jobs` would break the foreign keys of the tables that reference it.
"""

import json

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"

# Defined here, so that later changes to the application's types do not change this migration.
MOMENT = sa.DateTime(timezone=True)
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")

_INDEXES = {
    "ix_jobs_created_at": ["created_at"],
    "ix_jobs_expiry": ["status", "expires_at"],
    "ix_jobs_method_id": ["method", "id"],
    "ix_jobs_status_id": ["status", "id"],
    "ix_jobs_student_id": ["student", "id"],
}


def _columns() -> dict[str, list[sa.Column]]:
    """Build the new columns of each table.

    Each call builds new objects, because SQLAlchemy allows only one use of each column object.
    """
    return {
        "attempts": [
            sa.Column("resumed_step", sa.BigInteger(), nullable=True),
            sa.Column("saved_step", sa.BigInteger(), nullable=True),
        ],
        "jobs": [
            sa.Column("cloned_from", sa.String(length=255), nullable=True),
            sa.Column("method", sa.String(length=64), nullable=True),
            sa.Column("student", sa.String(length=255), nullable=True),
            sa.Column("notes", sa.String(length=4000), server_default="", nullable=False),
            sa.Column("device", sa.String(length=16), server_default="auto", nullable=False),
            sa.Column("gpus", sa.Integer(), server_default=sa.text("1"), nullable=False),
            sa.Column("memory_bytes", sa.BigInteger(), nullable=True),
            sa.Column("deadline", MOMENT, nullable=True),
            sa.Column("max_seconds", sa.Float(precision=53), nullable=True),
            sa.Column("expires_at", MOMENT, nullable=True),
            sa.Column("stalled", sa.Integer(), server_default=sa.text("0"), nullable=False),
            sa.Column("forced", sa.Boolean(), server_default=sa.false(), nullable=False),
            sa.Column("last_log", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        ],
    }


def upgrade() -> None:
    for table, columns in _columns().items():
        for column in columns:
            op.add_column(table, column)
    for name, columns in _INDEXES.items():
        op.create_index(name, "jobs", columns, unique=False)
    op.create_table(
        "job_labels",
        sa.Column("job_id", sa.String(length=255), nullable=False),
        sa.Column("key", sa.String(length=63), nullable=False),
        sa.Column("value", sa.String(length=255), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_job_labels_job_id")),
        sa.PrimaryKeyConstraint("job_id", "key", name=op.f("pk_job_labels")),
    )
    op.create_index("ix_job_labels_found", "job_labels", ["key", "value", "job_id"], unique=False)
    op.create_table(
        "job_logs",
        sa.Column("job_id", sa.String(length=255), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("line", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_job_logs_job_id")),
        sa.PrimaryKeyConstraint("job_id", "seq", name=op.f("pk_job_logs")),
    )
    _fill_method_and_student()


def _fill_method_and_student() -> None:
    """Fill the new columns `method` and `student` of existing jobs from their specs."""
    names = ("id", "kind", "method", "student")
    jobs = sa.table("jobs", *(sa.column(name) for name in names), sa.column("spec", JSON))
    connection = op.get_bind()
    query = sa.select(jobs.c.id, jobs.c.spec).where(jobs.c.kind == "distill")
    for job_id, stored in connection.execute(query).all():
        spec = json.loads(stored) if isinstance(stored, str) else stored
        values = {"method": spec["method"]["name"], "student": spec["student"]["architecture"]}
        connection.execute(sa.update(jobs).where(jobs.c.id == job_id).values(**values))


def downgrade() -> None:
    # the previous version knows a single queue
    op.execute("UPDATE jobs SET queue = 'train' WHERE queue LIKE 'train-%'")
    op.drop_table("job_logs")
    op.drop_table("job_labels")
    for name in _INDEXES:
        op.drop_index(name, table_name="jobs")
    for table, columns in _columns().items():
        for column in reversed(columns):
            op.drop_column(table, column.name)
