"""Creation of teachers and datasets from stored files."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, TypeVar

from sqlalchemy.orm import Session

from registry.access import audit
from registry.access.permissions import Principal
from registry.db.database import now
from registry.db.ids import new_id
from registry.db.input_tables import Dataset, Teacher
from registry.inputs.input_roles import DATASET_ROLE, TEACHER_ROLE
from registry.jobs.job_enums import JobKind
from registry.storage.object_store import StoredFile
from registry.uploads.upload_check_jobs import UploadStatus, add_check

_RowT = TypeVar("_RowT", bound=Teacher | Dataset)
_MAX_NAME_LENGTH = 255  # size of the column


def create_input(  # noqa: PLR0913 - the common columns of both tables
    session: Session,
    principal: Principal,
    table: type[_RowT],
    stored: StoredFile,
    *,
    filename: str,
    name: str,
    facts: Mapping[str, Any] = MappingProxyType({}),
    **columns: Any,
) -> _RowT:
    """Create a teacher or dataset and queue its check.

    `facts` describes the file to the check job. `columns` sets further columns of the row.
    """
    role = TEACHER_ROLE if table is Teacher else DATASET_ROLE
    row = table(
        id=new_id(role),
        owner=principal.owner,
        name=(name or filename)[:_MAX_NAME_LENGTH],
        filename=filename[:_MAX_NAME_LENGTH],
        sha256=stored.digest,
        size=stored.size,
        status=UploadStatus.VALIDATING,
        created_at=now(session),
        **columns,
    )
    file = {"digest": stored.digest, "size": stored.size, "filename": filename, **facts}
    check = add_check(
        session,
        JobKind(f"check_{role}"),
        owner=principal.owner,
        subject_id=row.id,
        inputs={role: file},
    )
    row.check_job_id = check.id
    session.add(row)
    audit.record_event(session, principal.id, f"{role}.created", row.id, sha256=stored.digest)
    session.flush()
    return row
