"""Whose rows they are: what belongs to another is not there."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry import access
from registry.access_tables import Webhook
from registry.tables import Dataset, Job, Model, Teacher, Upload

TABLES: dict[str, tuple[str, type[Job] | type[Teacher] | type[Dataset] | type[Model] | type[Webhook] | type[Upload]]] = {
    "job_id": ("job", Job),
    "teacher_id": ("teacher", Teacher),
    "dataset_id": ("data set", Dataset),
    "model_id": ("model", Model),
    "webhook_id": ("webhook", Webhook),
    "upload_id": ("upload", Upload),
}


def check(session: Session, name: str, row_id: str, visible: str | None) -> None:
    """Raises, for a row of another owner than `visible`, the `NotFound` that an unknown id gets. `name` is one of `TABLES`."""
    word, table = TABLES[name]
    owner = session.execute(select(table.owner).where(table.id == row_id)).scalar_one_or_none()
    access.see(owner, visible, f"{word} {row_id}")
