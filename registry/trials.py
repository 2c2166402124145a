"""The trial of a model that came in a bundle: a check job loads and runs its files, and the model tells what became of it."""

from typing import Any

from sqlalchemy.orm import Session

from registry import uploads
from registry.models import FileRow
from registry.tables import Job, Model

KIND = "check_model"
REPORT = "report"  # of the inputs that are no file
WAITING: dict[str, Any] = {"status": "waiting", "tried": [], "left_out": [], "error": None}


def add(session: Session, model: Model, files: list[FileRow]) -> Job:
    """Queues the trial."""
    image = model.report["image"]
    told = {
        "architecture": model.architecture,
        "options": model.options,
        "parameters": model.parameters,
        "classes": len(model.classes),
        "size": [image["height"], image["width"]],
    }
    inputs = {file.name: {"digest": file.sha256, "filename": file.name, "format": file.format} for file in files}
    return uploads.add_check(session, KIND, owner=model.owner, subject_id=model.id, inputs={REPORT: told, **inputs})


def passed(model: Model, report: dict[str, Any]) -> None:
    """All that could be tried is what the report tells of."""
    _note(model, status="passed", tried=report["tried"], left_out=report["left_out"])


def failed(model: Model, error: dict[str, Any]) -> None:
    """It is no model of use; it stays, for its owner to look at and delete."""
    _note(model, status="failed", error=error)


def _note(model: Model, **facts: Any) -> None:
    model.imported = {**(model.imported or {}), "trial": {**WAITING, **facts}}
