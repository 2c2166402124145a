"""Example curl commands, one per operation.

A test runs each of them against the service.
"""

import json
import re
from typing import Any

EXAMPLE_BODIES: dict[str, Any] = {
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
_MAX_LINE = 90  # characters; longer commands are wrapped between arguments
_QUERY_STRINGS = {"compare_models": "?ids=$model,$another"}
_TUS_HEADER = '-H "Tus-Resumable: 1.0.0"'
_CHUNK_HEADER = '-H "Content-Type: application/offset+octet-stream"'
_OPTIONS = {
    "create_teacher": "-F file=@teacher.pth",
    "create_dataset": "-F file=@images.zip",
    "import_model": "-F file=@student.zip",
    "create_upload": f'-X POST {_TUS_HEADER} -H "Upload-Length: $(stat -c %s images.zip)"',
    "append_to_upload": (
        f'-X PATCH {_TUS_HEADER} -H "Upload-Offset: 0" {_CHUNK_HEADER} --data-binary @images.zip'
    ),
    "delete_upload": f"-X DELETE {_TUS_HEADER}",
    "list_job_events": '-N -H "Accept: text/event-stream"',
    "get_model_file": "-L -o student.onnx",
    "get_model_bundle": "-o student.zip",
    "get_dataset_samples": "-o samples.png",
}


def curl_command(method: str, path: str, operation: dict[str, Any]) -> str:
    """Return the curl command for an operation, with shell variables in place of IDs."""
    name = operation["operationId"]
    url_path = re.sub(r"\{(\w+)\}", r"$\1", path) + _QUERY_STRINGS.get(name, "")
    parts = [
        "curl --fail",
        *(['-H "Authorization: Bearer $DLKD_API_KEY"'] if "security" in operation else []),
    ]
    if name in _OPTIONS:
        parts.append(_OPTIONS[name])
    elif method != "GET":
        parts.append(f"-X {method}")
    if name in EXAMPLE_BODIES:
        parts.append(f'--json "{_quote_json(EXAMPLE_BODIES[name])}"')
    parts.append(f'"$DLKD_URL{url_path}"')
    return (" " if len(" ".join(parts)) < _MAX_LINE else " \\\n  ").join(parts)


def _quote_json(body: Any) -> str:
    """Return the body as JSON for use between double quotes, where the shell expands variables."""
    return json.dumps(body).replace('"', '\\"')
