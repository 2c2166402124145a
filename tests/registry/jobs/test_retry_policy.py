"""Classification of failures, and the decision whether to retry a job."""

from datetime import timedelta
from typing import Any

import pytest

from registry.attempts import claims, maintenance
from registry.db.input_tables import Dataset
from registry.jobs import queries
from tests.registry.conftest import RegistryHarness

RETRYABLE_ERROR = {
    "code": "trainer_died",
    "message": "Killed.",
    "hint": "More memory.",
    "retryable": True,
}
USER_ERROR = {"code": "training_diverged", "message": "NaN.", "hint": "", "retryable": False}


def run_failing_attempt(
    harness: RegistryHarness,
    *,
    saved: int | None,
    lost: bool = False,
    error: dict[str, Any] = RETRYABLE_ERROR,
) -> Any:
    """Run an attempt that fails and return the job.

    Args:
        harness: Acts as client and worker.
        saved: Step at which the attempt saves a checkpoint, or None for no checkpoint.
        lost: Whether the attempt fails because it loses its lease. `error` is then ignored.
        error: The error with which the attempt fails.
    """
    claim = harness.claim()
    if saved is not None:
        harness.run(claims.record_checkpoint, claim, f"checkpoints/{saved}", saved)
    if lost:
        harness.expire_lease(claim)
        harness.run(maintenance.expire_leases)
    else:
        harness.run(claims.fail, claim, error=error)
    return harness.get_job(claim.job_id)


@pytest.mark.parametrize(
    ("error", "failure_class"), [(USER_ERROR, "user"), (RETRYABLE_ERROR, "infrastructure")]
)
def test_an_error_has_a_failure_class(
    harness: RegistryHarness, error: dict[str, Any], failure_class: str
) -> None:
    harness.submit(max_attempts=1)
    job = run_failing_attempt(harness, saved=None, error=error)
    assert (job.status, job.error["class"], job.error["attempt"], job.error["retryable"]) == (
        "failed",
        failure_class,
        1,
        False,
    )
    with harness.database.read() as session:
        assert queries.list_attempts(session, job.id)[0].error["class"] == failure_class


def test_the_loss_of_a_worker_is_a_preemption(harness: RegistryHarness) -> None:
    harness.submit()
    job = run_failing_attempt(harness, saved=None, lost=True)
    with harness.database.read() as session:
        assert queries.list_attempts(session, job.id)[0].error["class"] == "preemption"
    assert job.status == "queued"


def test_a_job_fails_after_two_attempts_in_a_row_without_a_newer_checkpoint(
    harness: RegistryHarness,
) -> None:
    harness.submit(max_attempts=10)
    assert run_failing_attempt(harness, saved=10).status == "queued"
    assert run_failing_attempt(harness, saved=None).status == "queued"
    job = run_failing_attempt(harness, saved=10)  # not newer than the existing checkpoint
    assert job.status == "failed"
    assert (job.error["code"], job.error["cause"], job.error["class"]) == (
        "no_progress",
        "trainer_died",
        "infrastructure",
    )


def test_an_attempt_with_a_newer_checkpoint_resets_the_count(harness: RegistryHarness) -> None:
    harness.submit(max_attempts=10)
    steps = (10, None, 20, None, 30, None)
    assert [run_failing_attempt(harness, saved=step).status for step in steps] == ["queued"] * 6
    assert run_failing_attempt(harness, saved=None).status == "failed"


def test_a_preempted_attempt_with_a_newer_checkpoint_is_not_counted(
    harness: RegistryHarness,
) -> None:
    harness.submit(max_attempts=2)
    for step in range(1, 6):
        job = run_failing_attempt(harness, saved=step, lost=True)
    assert (job.status, job.spent) == ("queued", 0)
    assert run_failing_attempt(harness, saved=None, lost=True).spent == 1


def test_a_failed_attempt_is_counted_even_with_a_newer_checkpoint(
    harness: RegistryHarness,
) -> None:
    harness.submit(max_attempts=3)
    for step in range(1, 4):
        job = run_failing_attempt(harness, saved=step)
    assert (job.status, job.error["code"]) == ("failed", "attempts_spent")


def test_checks_are_retried_although_they_have_no_checkpoints(harness: RegistryHarness) -> None:
    dataset = harness.upload_dataset()
    for _ in range(2):
        harness.run(claims.fail, harness.claim("checks"), error=RETRYABLE_ERROR)
    assert harness.claim("checks") is not None
    with harness.database.read() as session:
        assert session.get_one(Dataset, dataset).status == "validating"


def test_a_job_with_a_lost_worker_is_retried_after_a_delay(harness: RegistryHarness) -> None:
    claim = harness.start_job()
    harness.expire_lease(claim)
    harness.run(maintenance.expire_leases, retry_after=timedelta(minutes=1))
    assert harness.claim() is None
    job = harness.get_job(claim.job_id)
    assert job.not_before > job.created_at + timedelta(seconds=50)
