"""Tests for the protocol between supervisor and trainer."""

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from dlkd_core.spec import DistillationSpec
from worker.protocol import (
    KEEP_ALIVE,
    STOP,
    DistillRequest,
    TrainerRequest,
    UploadCheckRequest,
    request_adapter,
)

SPEC = DistillationSpec.model_validate(
    {"student": {"architecture": "resnet8"}, "dataset": {"path": "/data/packed.safetensors"}}
)
BASE_FIELDS = {"directory": Path("/attempt"), "silence_seconds": 30.0}


@pytest.mark.parametrize(
    "request_",
    [
        DistillRequest(**BASE_FIELDS, spec=SPEC, memory_bytes=2**30),
        DistillRequest(**BASE_FIELDS, spec=SPEC, gpu="1", resume_from=Path("/attempt/resume.pt")),
        UploadCheckRequest(
            **BASE_FIELDS,
            kind="check_teacher",
            path=Path("/attempt/0.pt"),
            architecture="resnet20",
            num_classes=10,
        ),
        UploadCheckRequest(**BASE_FIELDS, kind="check_dataset", path=Path("/attempt/0.zip")),
    ],
)
def test_a_request_is_one_line_of_json_and_survives_a_round_trip(request_: TrainerRequest) -> None:
    line = request_.model_dump_json()
    assert "\n" not in line
    assert request_adapter.validate_json(line) == request_


@pytest.mark.parametrize(
    "line",
    ["{}", '{"kind": "bake"}', '{"kind": "check_dataset", "directory": "/", "silence_seconds": 1}'],
)
def test_an_invalid_request_is_refused(line: str) -> None:
    with pytest.raises(ValidationError):
        request_adapter.validate_json(line)


@pytest.mark.parametrize(("line", "stops"), [(KEEP_ALIVE, False), (STOP, True)])
def test_later_messages_are_json_and_may_request_a_stop(line: bytes, stops: bool) -> None:  # noqa: FBT001 - parametrized by pytest
    assert line.endswith(b"\n")
    assert json.loads(line).get("stop", False) is stops
