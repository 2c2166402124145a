"""Import checks: jobs that load and run the files of an imported model.

The result is stored in `Model.imported` under the key `trial`.
"""

from enum import StrEnum
from typing import Any

from sqlalchemy.orm import Session

from registry.db.job_tables import Job
from registry.db.model_tables import Model
from registry.inputs.input_roles import REPORT_ROLE
from registry.jobs.job_enums import JobKind
from registry.models.model_versions import ExportedFile
from registry.uploads import upload_check_jobs


class ImportCheckStatus(StrEnum):
    WAITING = "waiting"
    PASSED = "passed"
    FAILED = "failed"


WAITING_RESULT: dict[str, Any] = {
    "status": ImportCheckStatus.WAITING.value,
    "tried": [],
    "left_out": [],
    "error": None,
}


def add_import_check(session: Session, model: Model, files: list[ExportedFile]) -> Job:
    """Queue the check of an imported model."""
    image = model.report["image"]
    model_facts = {
        "architecture": model.architecture,
        "options": model.options,
        "parameters": model.parameters,
        "classes": len(model.classes),
        "size": [image["height"], image["width"]],
    }
    file_inputs = {
        file.name: {"digest": file.sha256, "filename": file.name, "format": file.format}
        for file in files
    }
    return upload_check_jobs.add_check(
        session,
        JobKind.CHECK_MODEL,
        owner=model.owner,
        subject_id=model.id,
        inputs={REPORT_ROLE: model_facts, **file_inputs},
    )


def mark_passed(model: Model, report: dict[str, Any]) -> None:
    """Record that the check passed, and which files were run or skipped."""
    _set_result(
        model,
        status=ImportCheckStatus.PASSED.value,
        tried=report["tried"],
        left_out=report["left_out"],
    )


def mark_failed(model: Model, error: dict[str, Any]) -> None:
    """Record that the check failed. The model is kept, so that its owner can inspect it."""
    _set_result(model, status=ImportCheckStatus.FAILED.value, error=error)


def _set_result(model: Model, **result: Any) -> None:
    model.imported = {**(model.imported or {}), "trial": {**WAITING_RESULT, **result}}
