"""Jobs made after others: the request that was, changed by a JSON merge patch (RFC 7396)."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from registry import labels
from registry.requests import GIBIBYTE
from registry.tables import Job

# What a part is, told by these names; another one is no change of the part but another part, without the parameters of the first.
_IDENTITY = {"method": ("name",), "student": ("architecture",), "teacher": ("id", "model_id", "pretrained")}


def request_of(session: Session, job: Job) -> dict[str, Any]:
    """The request that would make the same job. Its deadline is not taken over: it was meant for that one."""
    memory = None if job.memory_bytes is None else job.memory_bytes / GIBIBYTE
    return {
        **job.spec,
        "name": job.name,
        "labels": labels.of(session, [job.id])[job.id],
        "notes": job.notes,
        "model_name": job.model_name,
        "priority": job.priority,
        "max_seconds": job.max_seconds,
        "resources": {"device": job.device, "gpus": job.gpus, "processes": job.processes, "memory_gb": memory},
    }


def patched(request: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """The request after the patch: null removes, objects merge, everything else replaces."""
    base = {name: {} if _is_another(name, part, patch.get(name)) else part for name, part in request.items()}
    return dict(_merged(base, patch))


def _is_another(name: str, part: Any, change: Any) -> bool:
    if not (name in _IDENTITY and isinstance(part, dict) and isinstance(change, dict)):
        return False
    return any(change.get(word) is not None and change[word] != part.get(word) for word in _IDENTITY[name])


def _merged(target: Any, patch: Any) -> Any:
    if not isinstance(patch, Mapping):
        return patch
    result = dict(target) if isinstance(target, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = _merged(result.get(name), value)
    return result
