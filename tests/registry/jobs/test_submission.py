"""Job submission, and the queueing of jobs once their inputs are ready."""

from typing import Any

from registry.db.job_tables import Job
from registry.jobs import submission
from registry.jobs.lifecycle import JobStatus
from tests.registry.conftest import RegistryHarness


def test_a_job_with_ready_inputs_is_queued_at_once(harness: RegistryHarness) -> None:
    job = harness.get_job(harness.submit(teacher={"id": harness.add_ready_teacher()}))
    assert job.status == "queued"
    assert job.inputs["teacher"]["architecture"] == "resnet56"
    assert job.inputs["teacher"]["options"] == {"shortcut": "pad"}
    assert job.inputs["dataset"]["filename"] == "packed.safetensors"


def test_a_job_is_queued_when_the_last_of_its_inputs_has_been_checked(
    harness: RegistryHarness,
) -> None:
    teacher, dataset = harness.upload_teacher(), harness.upload_dataset()
    job = harness.submit(teacher={"id": teacher}, dataset={"id": dataset})
    assert harness.get_job(job).status == "validating"
    assert harness.pass_check() == []
    assert harness.get_job(job).status == "validating"
    assert harness.pass_check() == [("train", job)]
    assert harness.get_job(job).status == "queued"


def test_a_waiting_job_fails_with_the_error_of_its_data_set(harness: RegistryHarness) -> None:
    dataset = harness.upload_dataset()
    job = harness.get_job(harness.submit(dataset={"id": dataset}))
    harness.fail_check("This is not an archive.")
    job = harness.get_job(job.id)
    assert (job.status, job.error["code"], job.error["hint"]) == (
        "failed",
        "dataset_invalid",
        "Send a zip.",
    )
    assert "This is not an archive." in job.error["message"]
    assert job.finished_at is not None


def test_a_waiting_job_fails_if_its_checked_inputs_do_not_match(harness: RegistryHarness) -> None:
    teacher, dataset = harness.upload_teacher(), harness.upload_dataset()
    job = harness.submit(teacher={"id": teacher}, dataset={"id": dataset})
    harness.pass_check(num_classes=10)
    harness.pass_check()
    assert harness.get_job(job).error["code"] == "classes_do_not_fit"


def test_a_ready_job_that_was_missed_is_promoted_later(
    harness: RegistryHarness,
) -> None:
    job = harness.submit()

    def reset_to_validating(session: Any) -> None:
        row = session.get_one(Job, job)
        row.status, row.inputs = JobStatus.VALIDATING, None

    harness.run(reset_to_validating)
    assert [row.id for row in harness.run(submission.promote)] == [job]
    assert harness.get_job(job).inputs is not None
