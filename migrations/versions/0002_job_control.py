"""Control of jobs: labels, notes, deadlines, resources, kept logs, progress of attempts.

Revision 0002, after 0001. SQLite adds and drops columns in place: a copied `jobs` would break the keys of what hangs on it.
"""

import json

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"

# A migration stays what it was: it names its types itself, whatever becomes of the program's.
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
    """The new columns by table; a column belongs to the operation that it was given to."""
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
    _find_by_method_and_student()


def _find_by_method_and_student() -> None:
    """Jobs of before are found by what their spec says."""
    names = ("id", "kind", "method", "student")
    jobs = sa.table("jobs", *(sa.column(name) for name in names), sa.column("spec", JSON))
    connection = op.get_bind()
    for job_id, spec in connection.execute(sa.select(jobs.c.id, jobs.c.spec).where(jobs.c.kind == "distill")).all():
        read = json.loads(spec) if isinstance(spec, str) else spec
        found = {"method": read["method"]["name"], "student": read["student"]["architecture"]}
        connection.execute(sa.update(jobs).where(jobs.c.id == job_id).values(**found))


def downgrade() -> None:
    op.execute("UPDATE jobs SET queue = 'train' WHERE queue LIKE 'train-%'")  # the program of before knows one queue
    op.drop_table("job_logs")
    op.drop_table("job_labels")
    for name in _INDEXES:
        op.drop_index(name, table_name="jobs")
    for table, columns in _columns().items():
        for column in reversed(columns):
            op.drop_column(table, column.name)
