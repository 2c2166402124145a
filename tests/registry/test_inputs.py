"""Data sets beside the own that a student is measured on."""

from dataclasses import replace
from typing import Any

import pytest

from registry import jobs
from registry.access import Role
from registry.errors import Unfit
from registry.requests import JobRequest

World = Any  # tests/registry/conftest.py


def transfer_to(dataset_id: str) -> dict[str, Any]:
    return {"name": "transfer", "dataset": {"id": dataset_id}}


def test_a_student_is_measured_on_another_data_set_once_that_was_checked(world: World) -> None:
    own = world.ready_dataset()
    other = world.dataset()
    job_id = world.submit(dataset={"id": own}, evaluation=[{"name": "knn"}, transfer_to(other)])
    assert world.job(job_id).status == "validating"
    world.pass_check()
    world.do(jobs.promote)
    job = world.job(job_id)
    assert (job.status, set(job.inputs)) == ("queued", {"teacher", "dataset", "evaluation/1"})
    assert job.inputs["evaluation/1"]["digest"] not in (None, job.inputs["dataset"]["digest"])


def test_a_data_set_to_transfer_to_must_be_there_and_ones_own_and_labelled(world: World) -> None:
    own, bare = world.ready_dataset(), world.ready_dataset(classes=[])
    spec = {"dataset": {"id": own}, "student": {"architecture": "resnet8"}}
    stranger = replace(world.principal, owner="other", role=Role.SUBMITTER)
    for other, code, pointer in (
        ("dataset_none", "dataset_unknown", "/evaluation/0/dataset/id"),
        (bare, "labels_missing", "/evaluation/0"),
    ):
        with pytest.raises(Unfit) as refused:
            world.submit(**spec, evaluation=[transfer_to(other)])
        assert (refused.value.code, refused.value.pointer) == (code, pointer)
    foreign = JobRequest.model_validate({**spec, "evaluation": [transfer_to(own)]})
    with pytest.raises(Unfit, match="no data set"):
        world.do(jobs.submit, stranger, foreign)
