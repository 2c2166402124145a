"""Uploaded checkpoints: taken in, checked by a worker, then named by jobs."""

from pathlib import PurePath
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry import paging
from registry.db import now
from registry.errors import NotFound
from registry.ids import new_id
from registry.keys import Principal
from registry.store import Stored
from registry.tables import AuditEvent, Teacher
from registry.uploads import NAME_LENGTH, UploadStatus, add_check

_FORMATS = {".safetensors": "safetensors", ".onnx": "onnx"}


def create(
    session: Session, principal: Principal, stored: Stored, *, filename: str, name: str = "", told: dict[str, Any] | None = None
) -> Teacher:
    """Takes in a stored file and queues its check (`check_job_id`, for the hint after the commit).

    `told` is what the client says about it (architecture, num_classes, normalization), and the format that
    its first bytes showed; the check finds out the rest.
    """
    told = told or {}
    teacher = Teacher(
        id=new_id("teacher"),
        owner=principal.owner,
        name=(name or filename)[:NAME_LENGTH],
        filename=filename[:NAME_LENGTH],
        sha256=stored.digest,
        size=stored.size,
        status=UploadStatus.VALIDATING,
        format=told.get("format") or _FORMATS.get(PurePath(filename).suffix.lower(), "torch"),
        architecture=told.get("architecture"),
        options={},
        num_classes=told.get("num_classes"),
        normalization=told.get("normalization"),
        created_at=now(session),
    )
    facts = {"architecture": teacher.architecture, "num_classes": teacher.num_classes}
    inputs = {"teacher": {"digest": stored.digest, "size": stored.size, "filename": filename, **facts}}
    teacher.check_job_id = add_check(session, "check_teacher", owner=principal.owner, subject_id=teacher.id, inputs=inputs).id
    session.add(teacher)
    session.add(
        AuditEvent(
            at=teacher.created_at,
            actor=principal.id,
            action="teacher.created",
            subject=teacher.id,
            data={"sha256": stored.digest},
        )
    )
    session.flush()
    return teacher


def get(session: Session, teacher_id: str) -> Teacher:
    """The teacher of that id, or `NotFound`."""
    teacher = session.get(Teacher, teacher_id)
    if teacher is None:
        raise NotFound(f"There is no teacher {teacher_id}.")
    return teacher


def page(session: Session, *, owner: str | None = None, limit: int = 50, cursor: str | None = None) -> paging.Page[Teacher]:
    """Teachers, newest first; of one owner, or of all."""
    return paging.page_of(session, paging.of_owner(select(Teacher), Teacher.owner, owner), Teacher.id, limit=limit, cursor=cursor)


def set_ready(teacher: Teacher, report: dict[str, Any]) -> None:
    """Takes over what the check found: format, architecture, options, num_classes, parameters."""
    teacher.status = UploadStatus.READY
    teacher.format = report["format"]
    teacher.architecture = report["architecture"]
    teacher.options = report.get("options") or {}
    teacher.num_classes = report["num_classes"]
    teacher.parameters = report["parameters"]


def set_invalid(teacher: Teacher, error: dict[str, Any]) -> None:
    """The row stays with its error; the file is forgotten after the commit."""
    teacher.status = UploadStatus.INVALID
    teacher.error = error
