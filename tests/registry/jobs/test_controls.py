"""The actions cancel, pause, resume and retry in every job status."""

from datetime import timedelta
from threading import Barrier, Thread
from typing import Any

import pytest

from registry.attempts import claims, maintenance
from registry.db.database import now
from registry.db.job_tables import Job
from registry.errors import DeadlinePassed, JobEnded, JobNotEnded, RegistryError, TransitionRefused
from registry.jobs import controls, deadlines, queries
from registry.jobs.lifecycle import JobStatus
from tests.registry.conftest import RegistryHarness

RETRYABLE_ERROR = {"code": "trainer_died", "message": "Killed.", "hint": "", "retryable": True}
USER_ERROR = {"code": "training_diverged", "message": "NaN.", "hint": "", "retryable": False}
LEASE = timedelta(seconds=60)


def cancel(harness: RegistryHarness, job_id: str) -> Any:
    return harness.run(controls.cancel, job_id, actor="key")


def pause(harness: RegistryHarness, job_id: str) -> Any:
    return harness.run(controls.pause, job_id, actor="key")


def resume(harness: RegistryHarness, job_id: str) -> Any:
    return harness.run(controls.resume, job_id, actor="key")


def retry(harness: RegistryHarness, job_id: str, **options: Any) -> Any:
    return harness.run(controls.retry, job_id, actor="key", **{"overrides": {}, **options})


ACTIONS = {"cancel": cancel, "pause": pause, "resume": resume, "retry": retry}


def make_job_in_state(harness: RegistryHarness, status: str) -> str:
    """Create a job and move it to the given status."""
    if status == "validating":
        return harness.submit(dataset={"id": harness.upload_dataset()})
    job_id = harness.submit()
    if status == "queued":
        return job_id
    if status == "expired":
        harness.run(
            lambda session: setattr(session.get_one(Job, job_id), "expires_at", now(session))
        )
        harness.run(deadlines.expire_waiting)
        return job_id
    if status == "paused":
        pause(harness, job_id)
        return job_id
    claim = harness.claim()
    if status != "starting":
        harness.run(claims.advance_status, claim, JobStatus.RUNNING)
    steps = {
        "exporting": lambda: harness.run(claims.advance_status, claim, JobStatus.EXPORTING),
        "succeeded": lambda: harness.finish(claim),
        "failed": lambda: harness.run(claims.fail, claim, error=USER_ERROR),
        "cancelling": lambda: cancel(harness, job_id),
        "pausing": lambda: pause(harness, job_id),
        "cancelled": lambda: (cancel(harness, job_id), harness.run(claims.mark_cancelled, claim)),
    }
    steps.get(status, lambda: None)()
    return job_id


# For each status, the new status or the error code after cancel, pause, resume and retry.
EXPECTED_RESULTS = {
    "validating": ("cancelled", "move_refused", "move_refused", "job_not_ended"),
    "queued": ("cancelled", "paused", "queued", "job_not_ended"),
    "starting": ("cancelling", "pausing", "starting", "job_not_ended"),
    "running": ("cancelling", "pausing", "running", "job_not_ended"),
    "exporting": ("cancelling", "move_refused", "exporting", "job_not_ended"),
    "pausing": ("cancelling", "pausing", "running", "job_not_ended"),
    "paused": ("cancelled", "paused", "queued", "job_not_ended"),
    "cancelling": ("cancelling", "move_refused", "move_refused", "job_not_ended"),
    "succeeded": ("job_ended", "job_ended", "job_ended", "job_ended"),
    "failed": ("job_ended", "job_ended", "job_ended", "queued"),
    "cancelled": ("cancelled", "job_ended", "job_ended", "queued"),
    "expired": ("job_ended", "job_ended", "job_ended", "queued"),
}


def test_the_expected_results_cover_every_status() -> None:
    assert set(EXPECTED_RESULTS) == set(JobStatus)


@pytest.mark.parametrize("status", EXPECTED_RESULTS)
def test_every_action_in_every_status_gives_the_expected_result(
    harness: RegistryHarness, status: str
) -> None:
    results = []
    for action in ACTIONS.values():
        job_id = make_job_in_state(harness, status)
        assert harness.get_job(job_id).status == status
        try:
            action(harness, job_id)
        except RegistryError as error:
            assert harness.get_job(job_id).status == status
            results.append(error.code)
        else:
            results.append(harness.get_job(job_id).status)
        if harness.get_job(job_id).status == "queued":
            cancel(harness, job_id)  # leaves only the next job to claim
    assert tuple(results) == EXPECTED_RESULTS[status]


def test_a_paused_job_is_not_claimed_and_resumes_from_its_checkpoint(
    harness: RegistryHarness,
) -> None:
    first = harness.start_job()
    pause(harness, first.job_id)
    assert harness.run(claims.heartbeat, first, lease=LEASE).stop == "pause"
    harness.run(claims.record_checkpoint, first, "checkpoints/1", 10)
    harness.run(claims.release, first)
    job = harness.get_job(first.job_id)
    assert (job.status, job.spent, job.worker_id) == ("paused", 0, None)
    assert harness.claim() is None
    resume(harness, first.job_id)
    second = harness.claim()
    assert (second.attempt, second.resume_from) == (2, "checkpoints/1")
    with harness.database.read() as session:
        rows = queries.list_attempts(session, first.job_id)
    assert [(row.status, row.resumed_step, row.saved_step) for row in rows] == [
        ("paused", None, 10),
        ("running", 10, None),
    ]


def test_a_job_that_finishes_while_pausing_has_succeeded(harness: RegistryHarness) -> None:
    claim = harness.start_job()
    pause(harness, claim.job_id)
    harness.run(claims.advance_status, claim, JobStatus.EXPORTING)
    assert harness.get_job(claim.job_id).status == "pausing"
    assert harness.finish(claim) is not None
    assert harness.get_job(claim.job_id).status == "succeeded"


def test_while_pausing_a_retryable_error_leaves_the_job_paused_and_a_user_error_ends_it(
    harness: RegistryHarness,
) -> None:
    for error, status in ((RETRYABLE_ERROR, "paused"), (USER_ERROR, "failed")):
        claim = harness.start_job()
        pause(harness, claim.job_id)
        harness.run(claims.fail, claim, error=error)
        assert harness.get_job(claim.job_id).status == status


def test_a_lease_that_is_lost_while_pausing_leaves_the_job_paused(
    harness: RegistryHarness,
) -> None:
    claim = harness.start_job()
    pause(harness, claim.job_id)
    harness.expire_lease(claim)
    assert harness.run(maintenance.expire_leases).hints == []
    assert harness.get_job(claim.job_id).status == "paused"


def test_a_job_that_is_resumed_before_its_worker_stops_is_queued_again(
    harness: RegistryHarness,
) -> None:
    claim = harness.start_job()
    pause(harness, claim.job_id)
    resume(harness, claim.job_id)
    assert harness.run(claims.heartbeat, claim, lease=LEASE).stop is None
    harness.run(claims.release, claim)  # the worker had already received the pause request
    assert harness.get_job(claim.job_id).status == "queued"


def test_a_cancel_overrides_a_pause_and_force_overrides_a_cancel(harness: RegistryHarness) -> None:
    claim = harness.start_job()
    pause(harness, claim.job_id)
    cancel(harness, claim.job_id)
    assert harness.run(claims.heartbeat, claim, lease=LEASE).stop == "cancel"
    harness.run(controls.cancel, claim.job_id, actor="key", force=True)
    assert harness.run(claims.heartbeat, claim, lease=LEASE).stop == "kill"
    harness.run(claims.release, claim)
    assert harness.get_job(claim.job_id).status == "cancelled"


def fail_at_step(harness: RegistryHarness, step: int) -> str:
    claim = harness.start_job()
    harness.run(claims.record_checkpoint, claim, f"checkpoints/{step}", step)
    harness.run(
        claims.record_update,
        claim,
        claims.AttemptUpdate(points=[claims.MetricPoint(step, 1, {"loss": 1.0})]),
    )
    harness.run(
        claims.heartbeat, claim, lease=LEASE, progress_update={"step": step, "steps": 2 * step}
    )
    harness.run(claims.fail, claim, error=USER_ERROR)
    return claim.job_id


def test_a_retry_resumes_from_the_last_checkpoint_and_continues_the_attempt_numbers(
    harness: RegistryHarness,
) -> None:
    job_id = fail_at_step(harness, 10)
    assert retry(harness, job_id).status == "queued"
    job = harness.get_job(job_id)
    assert (job.error, job.spent, job.finished_at, job.attempt, job.progress["step"]) == (
        None,
        0,
        None,
        1,
        10,
    )
    claim = harness.claim()
    assert (claim.attempt, claim.resume_from) == (2, "checkpoints/10")
    harness.run(claims.advance_status, claim, JobStatus.RUNNING)
    harness.finish(claim)
    assert harness.get_job(job_id).status == "succeeded"


def test_a_retry_from_the_start_discards_checkpoint_progress_and_metrics(
    harness: RegistryHarness,
) -> None:
    job_id = fail_at_step(harness, 10)
    retry(harness, job_id, from_start=True)
    assert harness.get_job(job_id).progress == {}
    assert harness.claim().resume_from is None
    with harness.database.read() as session:
        assert queries.list_metrics(session, job_id) == []


def test_a_retry_of_a_job_with_an_invalid_input_is_refused_with_the_reason(
    harness: RegistryHarness,
) -> None:
    job_id = harness.submit(dataset={"id": harness.upload_dataset()})
    harness.fail_check()
    with pytest.raises(RegistryError) as refused:
        retry(harness, job_id)
    assert refused.value.code == "dataset_invalid"
    assert harness.get_job(job_id).status == "failed"


def test_a_retry_after_the_deadline_needs_a_new_deadline(harness: RegistryHarness) -> None:
    job_id = make_job_in_state(harness, "queued")

    def pass_deadline(session: Any) -> None:
        job = session.get_one(Job, job_id)
        job.deadline = job.expires_at = now(session)

    harness.run(pass_deadline)
    harness.run(deadlines.expire_waiting)
    with pytest.raises(DeadlinePassed):
        retry(harness, job_id)
    assert retry(harness, job_id, overrides={"deadline": None}).status == "queued"
    assert harness.get_job(job_id).expires_at is None


def test_errors_state_the_status_of_the_job(harness: RegistryHarness) -> None:
    job_id = harness.submit()
    with pytest.raises(JobNotEnded, match="is still queued"):
        retry(harness, job_id)
    cancel(harness, job_id)
    with pytest.raises(JobEnded, match="has already ended with status cancelled") as ended:
        pause(harness, job_id)
    assert "Retry" in ended.value.hint
    with pytest.raises(TransitionRefused, match="validating cannot become paused"):
        pause(harness, make_job_in_state(harness, "validating"))


def run_concurrently(*actions: Any) -> list[str]:
    """Run the actions concurrently and return the new job status or error code of each action."""
    barrier, results = Barrier(len(actions)), [""] * len(actions)

    def run(index: int) -> None:
        barrier.wait()
        try:
            results[index] = actions[index]().status
        except RegistryError as error:
            results[index] = error.code

    threads = [Thread(target=run, args=(index,)) for index in range(len(actions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def list_transitions(harness: RegistryHarness, job_id: str) -> list[str]:
    with harness.database.read() as session:
        return [
            event.data["to"]
            for event in queries.list_events(session, job_id)
            if event.type == "status"
        ]


def test_concurrent_resumes_move_the_job_once(harness: RegistryHarness) -> None:
    job_id = make_job_in_state(harness, "paused")
    assert run_concurrently(*[lambda: resume(harness, job_id)] * 4) == ["queued"] * 4
    assert list_transitions(harness, job_id) == ["queued", "paused", "queued"]


def test_only_one_of_several_concurrent_retries_succeeds(harness: RegistryHarness) -> None:
    job_id = make_job_in_state(harness, "failed")
    assert sorted(run_concurrently(*[lambda: retry(harness, job_id)] * 4)) == [
        "job_not_ended"
    ] * 3 + ["queued"]


def test_a_pause_concurrent_with_the_end_leaves_a_succeeded_job(
    harness: RegistryHarness,
) -> None:
    claim = harness.start_job()
    results = run_concurrently(
        lambda: pause(harness, claim.job_id),
        lambda: (harness.finish(claim), harness.get_job(claim.job_id))[1],
    )
    assert results[0] in {"pausing", "job_ended"}
    assert (results[1], harness.get_job(claim.job_id).status) == ("succeeded", "succeeded")


def test_a_resume_concurrent_with_a_cancel_leaves_no_paused_job(
    harness: RegistryHarness,
) -> None:
    job_id = make_job_in_state(harness, "paused")
    results = run_concurrently(lambda: resume(harness, job_id), lambda: cancel(harness, job_id))
    assert results[0] in {"queued", "job_ended"}
    assert (results[1], harness.get_job(job_id).status) == ("cancelled", "cancelled")


def test_a_waiting_job_is_cancelled_at_once_and_a_second_cancel_has_no_effect(
    harness: RegistryHarness,
) -> None:
    job = harness.submit()
    assert harness.run(controls.cancel, job, actor="key").status == "cancelled"
    assert harness.run(controls.cancel, job, actor="key").status == "cancelled"
    assert harness.claim() is None


def test_a_running_job_is_cancelled_through_its_worker(harness: RegistryHarness) -> None:
    claim = harness.start_job()
    assert harness.run(controls.cancel, claim.job_id, actor="key").status == "cancelling"
    assert harness.run(claims.heartbeat, claim, lease=timedelta(seconds=60)).stop == "cancel"
    harness.run(claims.mark_cancelled, claim)
    assert harness.get_job(claim.job_id).status == "cancelled"


def test_a_job_that_has_ended_cannot_be_cancelled(harness: RegistryHarness) -> None:
    claim = harness.start_job()
    harness.finish(claim)
    with pytest.raises(JobEnded):
        harness.run(controls.cancel, claim.job_id, actor="key")
