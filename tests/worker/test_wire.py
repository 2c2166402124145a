"""The words between a supervisor and its trainer."""

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from dlkd_core.spec import DistillationSpec
from worker.wire import KEEP_ALIVE, STOP, Check, Distill, Request, request_adapter

SPEC = DistillationSpec.model_validate({"student": {"architecture": "resnet8"}, "dataset": {"path": "/data/packed.safetensors"}})
PLACE = {"directory": Path("/attempt"), "silence_seconds": 30.0}


@pytest.mark.parametrize(
    "request_",
    [
        Distill(**PLACE, spec=SPEC, memory_bytes=2**30),
        Distill(**PLACE, spec=SPEC, gpu="1", resume_from=Path("/attempt/resume.pt")),
        Check(**PLACE, kind="check_teacher", path=Path("/attempt/0.pt"), architecture="resnet20", num_classes=10),
        Check(**PLACE, kind="check_dataset", path=Path("/attempt/0.zip")),
    ],
)
def test_a_request_is_one_line_and_comes_out_as_it_went_in(request_: Request) -> None:
    line = request_.model_dump_json()
    assert "\n" not in line
    assert request_adapter.validate_json(line) == request_


@pytest.mark.parametrize("line", ["{}", '{"kind": "bake"}', '{"kind": "check_dataset", "directory": "/", "silence_seconds": 1}'])
def test_what_is_no_request_is_refused(line: str) -> None:
    with pytest.raises(ValidationError):
        request_adapter.validate_json(line)


@pytest.mark.parametrize(("line", "stops"), [(KEEP_ALIVE, False), (STOP, True)])
def test_later_lines_are_json_and_say_whether_to_stop(line: bytes, stops: bool) -> None:  # noqa: FBT001 - a column
    assert line.endswith(b"\n")
    assert json.loads(line).get("stop", False) is stops
