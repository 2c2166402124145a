"""Jobs after other jobs, with changes."""

from typing import Any

import pytest

from registry.clones import patched, request_of
from registry.requests import JobRequest

World = Any  # tests/registry/conftest.py


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [  # the examples of RFC 7396 that begin with an object
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
def test_a_merge_patch_does_what_the_standard_says(target: Any, patch: Any, result: Any) -> None:
    assert patched(target, patch) == result


def test_another_method_or_teacher_is_not_a_change_of_the_first() -> None:
    request = {"method": {"name": "dlkd", "alignment": 3.0}, "teacher": {"id": "t1", "class_map": [0]}}
    assert patched(request, {"method": {"name": "kd"}})["method"] == {"name": "kd"}
    assert patched(request, {"method": {"alignment": 1.0}})["method"] == {"name": "dlkd", "alignment": 1.0}
    assert patched(request, {"method": {"name": "dlkd"}})["method"]["alignment"] == 3.0
    assert patched(request, {"teacher": {"model_id": "m"}})["teacher"] == {"model_id": "m"}
    assert patched(request, {"teacher": {"class_map": [1]}})["teacher"] == {"id": "t1", "class_map": [1]}


def test_a_request_that_is_made_from_its_job_is_the_same(world: World) -> None:
    wishes = {
        "name": "first",
        "student": {"architecture": "resnet8"},
        "dataset": {"id": world.ready_dataset()},
        "labels": {"a": "1"},
        "notes": "n",
        "priority": 3,
        "max_seconds": 60,
        "resources": {"device": "cpu", "memory_gb": 1.5},
    }
    job = world.job(world.submit(**wishes))
    with world.database.read() as session:
        again = JobRequest.model_validate(patched(request_of(session, job), {}))
    assert again == JobRequest.model_validate(wishes)
