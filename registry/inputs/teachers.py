"""Uploaded teacher checkpoints, which jobs can use once a worker has checked them."""

from pathlib import PurePath
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry.access.permissions import Principal
from registry.db import pagination
from registry.db.database import filter_equal, require_row
from registry.db.input_tables import Teacher
from registry.inputs.input_creation import create_input
from registry.storage.object_store import StoredFile
from registry.uploads.upload_check_jobs import UploadStatus

_FORMATS_BY_SUFFIX = {".safetensors": "safetensors", ".onnx": "onnx"}


def create(
    session: Session,
    principal: Principal,
    stored: StoredFile,
    *,
    filename: str,
    name: str = "",
    declared: dict[str, Any] | None = None,
) -> Teacher:
    """Create a teacher from a stored file and queue its check.

    `declared` holds what is known before the check: the architecture, num_classes, output and
    normalization that the client declared, and the format detected from the file's first bytes.

    After the commit, the caller sends a queue message for the job `check_job_id`.
    """
    declared = declared or {}
    columns = {key: declared.get(key) for key in ("architecture", "num_classes")}
    suffix_format = _FORMATS_BY_SUFFIX.get(PurePath(filename).suffix.lower(), "torch")
    return create_input(
        session,
        principal,
        Teacher,
        stored,
        filename=filename,
        name=name,
        facts={**columns, "output": declared.get("output")},
        format=declared.get("format") or suffix_format,
        options={},
        normalization=declared.get("normalization"),
        **columns,
    )


def get(session: Session, teacher_id: str) -> Teacher:
    """Return a teacher.

    Raises:
        NotFound: There is no teacher with that id.
    """
    return require_row(session.get(Teacher, teacher_id), f"teacher {teacher_id}")


def list_page(
    session: Session, *, owner: str | None = None, limit: int = 50, cursor: str | None = None
) -> pagination.Page[Teacher]:
    """Return a page of teachers, newest first. If `owner` is None, include all owners."""
    return pagination.paginate(
        session,
        filter_equal(select(Teacher), (Teacher.owner, owner)),
        Teacher.id,
        limit=limit,
        cursor=cursor,
    )


def set_ready(teacher: Teacher, report: dict[str, Any]) -> None:
    """Store the result of the check: format, architecture, options, classes and parameter count."""
    teacher.status = UploadStatus.READY
    teacher.format = report["format"]
    teacher.architecture = report["architecture"]
    teacher.options = report.get("options") or {}
    teacher.num_classes = report["num_classes"]
    teacher.parameters = report["parameters"]
    teacher.notices = report.get("notices") or []
