"""Clones of jobs: the original request, changed by a JSON merge patch (RFC 7396)."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from registry.db.job_tables import Job
from registry.jobs import job_labels
from registry.jobs.job_request import GIBIBYTE

# Fields that identify the method, student or teacher in their section of the request. If a patch
# changes one of them, it replaces the whole section, because the section's other parameters belong
# to the original.
_IDENTITY_FIELDS = {
    "method": ("name",),
    "student": ("architecture",),
    "teacher": ("id", "model_id", "pretrained"),
}


def rebuild_request(session: Session, job: Job) -> dict[str, Any]:
    """Return the request that would create the same job, without its deadline.

    A deadline is a fixed time, so it makes sense only for the original job.
    """
    return {
        **job.spec,
        "name": job.name,
        "labels": job_labels.labels_by_job(session, [job.id])[job.id],
        "notes": job.notes,
        "model_name": job.model_name,
        "priority": job.priority,
        "max_seconds": job.max_seconds,
        "resources": {
            "device": job.device,
            "gpus": job.gpus,
            "processes": job.processes,
            "memory_gb": None if job.memory_bytes is None else job.memory_bytes / GIBIBYTE,
        },
    }


def apply_merge_patch(request: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """Return the patched request.

    A null in the patch removes the field, an object is merged into it, and any other value replaces
    it.
    """
    base = {
        name: {} if _replaces_identity(name, section, patch.get(name)) else section
        for name, section in request.items()
    }
    return dict(_merge_patch(base, patch))


def _replaces_identity(name: str, section: Any, change: Any) -> bool:
    if not (name in _IDENTITY_FIELDS and isinstance(section, dict) and isinstance(change, dict)):
        return False
    return any(
        change.get(field) is not None and change[field] != section.get(field)
        for field in _IDENTITY_FIELDS[name]
    )


def _merge_patch(target: Any, patch: Any) -> Any:
    if not isinstance(patch, Mapping):
        return patch
    result = dict(target) if isinstance(target, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = _merge_patch(result.get(name), value)
    return result
