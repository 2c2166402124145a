"""A curl command for each operation. A test sends every one of them to the service."""

import json
import re
from typing import Any

BODIES: dict[str, Any] = {
    "create_job": {
        "teacher": {"id": "$teacher_id"},
        "student": {"architecture": "resnet8"},
        "dataset": {"id": "$dataset_id"},
        "method": {"name": "dlkd_auto"},
    },
    "change_job": {"name": "second try", "labels": {"team": "vision"}},
    "retry_job": {"from_start": True},
    "clone_job": {"training": {"epochs": 20}},
    "change_model": {"tags": ["shipped"]},
    "sign_model_file": {"expires_seconds": 600},
    "sign_upload_parts": {"parts": [{"offset": 0, "size": 4}]},
    "put_alias": {"model": "$model"},
    "create_key": {"name": "build server", "role": "submitter", "owner": "vision"},
    "rotate_key": {"grace_seconds": 3600},
    "set_quota": {"running_jobs": 4},
    "create_webhook": {"url": "https://example.com/hook", "events": ["job.succeeded"]},
    "change_webhook": {"enabled": False},
}
_LINE = 90  # characters; longer commands are broken between their parts
_QUERIES = {"compare_models": "?ids=$model,$another"}
_TUS = '-H "Tus-Resumable: 1.0.0"'
_BYTES = '-H "Content-Type: application/offset+octet-stream"'
_OPTIONS = {
    "create_teacher": "-F file=@teacher.pth",
    "create_dataset": "-F file=@images.zip",
    "import_model": "-F file=@student.zip",
    "create_upload": f'-X POST {_TUS} -H "Upload-Length: $(stat -c %s images.zip)"',
    "append_to_upload": f'-X PATCH {_TUS} -H "Upload-Offset: 0" {_BYTES} --data-binary @images.zip',
    "delete_upload": f"-X DELETE {_TUS}",
    "list_job_events": '-N -H "Accept: text/event-stream"',
    "get_model_file": "-L -o student.onnx",
    "get_model_bundle": "-o student.zip",
    "get_dataset_samples": "-o samples.png",
}


def curl(method: str, path: str, operation: dict[str, Any]) -> str:
    """The command, with shell variables in place of ids."""
    name = operation["operationId"]
    address = re.sub(r"\{(\w+)\}", r"$\1", path) + _QUERIES.get(name, "")
    parts = ["curl --fail", *(['-H "Authorization: Bearer $DLKD_API_KEY"'] if "security" in operation else [])]
    if name in _OPTIONS:
        parts.append(_OPTIONS[name])
    elif method != "GET":
        parts.append(f"-X {method}")
    if name in BODIES:
        parts.append(f'--json "{_quoted(BODIES[name])}"')
    parts.append(f'"$DLKD_URL{address}"')
    return (" " if len(" ".join(parts)) < _LINE else " \\\n  ").join(parts)


def _quoted(body: Any) -> str:
    """JSON within double quotes of a shell, so that variables are filled in."""
    return json.dumps(body).replace('"', '\\"')
