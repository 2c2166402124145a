"""Allow jobs to reference teachers and datasets that were deleted.

Revision 0009, after 0008. The downgrade clears references to deleted rows.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

_REFERENCED_TABLES = {"dataset_id": "datasets", "teacher_id": "teachers"}


def upgrade() -> None:
    with op.batch_alter_table("jobs") as table:
        for column in _REFERENCED_TABLES:
            table.drop_constraint(op.f(f"fk_jobs_{column}"), type_="foreignkey")


def downgrade() -> None:
    jobs = sa.table("jobs", *(sa.column(column) for column in _REFERENCED_TABLES))
    for column, name in _REFERENCED_TABLES.items():
        existing = sa.select(sa.table(name, sa.column("id")).c.id)
        op.execute(sa.update(jobs).where(jobs.c[column].not_in(existing)).values({column: None}))
    with op.batch_alter_table("jobs") as table:
        for column, name in _REFERENCED_TABLES.items():
            table.create_foreign_key(op.f(f"fk_jobs_{column}"), name, [column], ["id"])
