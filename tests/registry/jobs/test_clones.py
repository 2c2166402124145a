"""Job clones with changes to the spec."""

from typing import Any

import pytest

from registry.jobs.clones import apply_merge_patch, rebuild_request
from registry.jobs.job_request import JobRequest
from tests.registry.conftest import RegistryHarness


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [  # examples from RFC 7396, limited to targets that are objects
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_a_merge_patch_follows_the_standard(target: Any, patch: Any, result: Any) -> None:
    assert apply_merge_patch(target, patch) == result


def test_another_method_or_teacher_replaces_the_section() -> None:
    request = {
        "method": {"name": "dlkd", "alignment": 3.0},
        "teacher": {"id": "t1", "class_map": [0]},
    }
    assert apply_merge_patch(request, {"method": {"name": "kd"}})["method"] == {"name": "kd"}
    assert apply_merge_patch(request, {"method": {"alignment": 1.0}})["method"] == {
        "name": "dlkd",
        "alignment": 1.0,
    }
    assert apply_merge_patch(request, {"method": {"name": "dlkd"}})["method"]["alignment"] == 3.0
    assert apply_merge_patch(request, {"teacher": {"model_id": "m"}})["teacher"] == {
        "model_id": "m"
    }
    assert apply_merge_patch(request, {"teacher": {"class_map": [1]}})["teacher"] == {
        "id": "t1",
        "class_map": [1],
    }


def test_the_request_of_a_job_can_be_rebuilt(harness: RegistryHarness) -> None:
    request = {
        "name": "first",
        "student": {"architecture": "resnet8"},
        "dataset": {"id": harness.add_ready_dataset()},
        "labels": {"a": "1"},
        "notes": "n",
        "priority": 3,
        "max_seconds": 60,
        "resources": {"device": "cpu", "memory_gb": 1.5},
    }
    job = harness.get_job(harness.submit(**request))
    with harness.database.read() as session:
        rebuilt = JobRequest.model_validate(apply_merge_patch(rebuild_request(session, job), {}))
    assert rebuilt == JobRequest.model_validate(request)
