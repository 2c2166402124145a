"""Ownership of rows. To callers, rows that belong to another owner appear not to exist."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry.db.input_tables import Dataset, Teacher, Upload
from registry.db.job_tables import Job
from registry.db.model_tables import Model
from registry.db.webhook_tables import Webhook
from registry.errors import NotFound

OwnedTable = type[Job] | type[Teacher] | type[Dataset] | type[Model] | type[Webhook] | type[Upload]
# Maps each path parameter to the noun that messages use for the row, and to the row's table.
OWNED_TABLES: dict[str, tuple[str, OwnedTable]] = {
    "job_id": ("job", Job),
    "teacher_id": ("teacher", Teacher),
    "dataset_id": ("dataset", Dataset),
    "model_id": ("model", Model),
    "webhook_id": ("webhook", Webhook),
    "upload_id": ("upload", Upload),
}


def check_owner(
    session: Session, path_parameter: str, row_id: str, visible_owner: str | None
) -> None:
    """Verify that a principal that sees only the rows of `visible_owner` may see this row.

    Args:
        session: The session to read from.
        path_parameter: A key of `OWNED_TABLES`.
        row_id: The id of the row.
        visible_owner: The only owner whose rows are visible. If None, all rows are visible.

    Raises:
        NotFound: There is no such row, or it belongs to another owner.
    """
    noun, table = OWNED_TABLES[path_parameter]
    owner = session.execute(select(table.owner).where(table.id == row_id)).scalar_one_or_none()
    check_visible(owner, visible_owner, f"{noun} {row_id}")


def check_visible(owner: str | None, visible_owner: str | None, description: str) -> None:
    """Verify that a row exists and is visible. `owner` is None if there is no such row.

    Raises:
        NotFound: There is no such row, or it belongs to another owner. Both cases raise the
            same error, so that the error does not reveal whether the row exists.
    """
    if owner is None or (visible_owner is not None and owner != visible_owner):
        raise NotFound(f"There is no {description}.")
