"""Claims: the choice of the job, rejected writes after a lost lease, and the end of attempts."""

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from registry.attempts import claims, maintenance
from registry.attempts.claims import AttemptUpdate, MetricPoint
from registry.db.access_tables import AuditEvent
from registry.db.input_tables import Dataset
from registry.db.job_tables import Job
from registry.db.model_tables import Model
from registry.errors import LeaseLost, NotFound, TransitionRefused
from registry.jobs import controls, queries
from registry.jobs.lifecycle import JobStatus
from registry.jobs.queue_names import QueueName
from registry.models import model_versions
from tests.registry.conftest import RegistryHarness, claim_in_processes

LEASE = timedelta(seconds=60)
USER_ERROR = {
    "code": "teacher_at_chance",
    "message": "The teacher is no better than chance.",
    "hint": "Check the classes.",
    "retryable": False,
}
RETRYABLE_ERROR = {
    "code": "trainer_died",
    "message": "Killed.",
    "hint": "More memory.",
    "retryable": True,
}


def test_jobs_are_claimed_by_priority_and_then_by_age(harness: RegistryHarness) -> None:
    dataset = {"id": harness.add_ready_dataset()}
    older, newer = harness.submit(dataset=dataset), harness.submit(dataset=dataset)
    urgent = harness.submit(dataset=dataset, priority=5)
    assert [harness.claim().job_id for _ in range(3)] == [urgent, older, newer]
    assert harness.claim() is None


def test_a_worker_claims_only_from_its_queues(harness: RegistryHarness) -> None:
    harness.upload_dataset()
    assert harness.claim(QueueName.TRAIN) is None
    assert harness.claim("checks").kind == "check_dataset"


def test_a_claim_holds_spec_and_inputs_of_the_job(harness: RegistryHarness) -> None:
    teacher, dataset = harness.add_ready_teacher(), harness.add_ready_dataset()
    harness.submit(teacher={"id": teacher}, dataset={"id": dataset}, training={"epochs": 3})
    claim = harness.claim()
    assert (claim.attempt, claim.kind, claim.resume_from) == (1, "distill", None)
    assert claim.spec["training"]["epochs"] == 3
    assert set(claim.inputs) == {"teacher", "dataset"}


def test_a_job_succeeds(harness: RegistryHarness) -> None:
    claim = harness.start_job()
    harness.run(
        claims.heartbeat,
        claim,
        lease=LEASE,
        progress_update={"phase": "training", "epoch": 1, "epochs": 2, "step": 5, "steps": 10},
    )
    progress = harness.get_job(claim.job_id).progress
    assert (progress["phase"], progress["step"], progress["fraction"]) == ("training", 5, 0.475)
    harness.run(claims.advance_status, claim, JobStatus.EXPORTING)
    model = harness.finish(claim)
    job = harness.get_job(claim.job_id)
    assert (job.status, job.model_id, job.progress["fraction"], job.worker_id) == (
        "succeeded",
        model,
        1.0,
        None,
    )
    assert job.created_at <= job.started_at <= job.finished_at
    with harness.database.read() as session:
        assert [
            (attempt.number, attempt.status) for attempt in queries.list_attempts(session, job.id)
        ] == [(1, "succeeded")]
        actions = (
            session.execute(
                select(AuditEvent.action)
                .where(AuditEvent.subject == job.id)
                .order_by(AuditEvent.id)
            )
            .scalars()
            .all()
        )
    assert actions == [
        "job.created",
        "job.starting",
        "job.running",
        "job.exporting",
        "job.succeeded",
    ]


def test_the_model_has_the_report_and_the_measured_files(harness: RegistryHarness) -> None:
    claim = harness.start_job(name="small")
    model_id = harness.finish(claim)
    with harness.database.read() as session:
        model = model_versions.get(session, model_id)
        file = model_versions.get_file(session, model_id, "student.safetensors")
        with pytest.raises(NotFound):
            model_versions.get_file(session, model_id, "student.onnx")
    assert (model.name, model.job_id, model.parameters, model.metrics["student"]["top1"]) == (
        "small",
        claim.job_id,
        78_042,
        0.9,
    )
    assert model.metrics["student"]["nll"] is None  # JSON cannot represent NaN
    assert (file.top1, file.latency_ms, harness.store.exists(file.sha256)) == (0.9, 1.5, True)


WRITES = {
    "heartbeat": lambda session, claim: claims.heartbeat(session, claim, lease=LEASE),
    "advance_status": lambda session, claim: claims.advance_status(
        session, claim, JobStatus.EXPORTING
    ),
    "record_update": lambda session, claim: claims.record_update(
        session,
        claim,
        AttemptUpdate(events=[("notice", {})], points=[MetricPoint(1, 1, {"loss": 1.0})]),
    ),
    "record_checkpoint": lambda session, claim: claims.record_checkpoint(session, claim, "key", 1),
    "finish": lambda session, claim: claims.finish(session, claim, report={}, files=[]),
    "finish_check": lambda session, claim: claims.finish_check(session, claim, report={}),
    "fail": lambda session, claim: claims.fail(session, claim, error=USER_ERROR),
    "mark_cancelled": claims.mark_cancelled,
    "release": claims.release,
}


def test_a_worker_that_lost_its_lease_cannot_write(harness: RegistryHarness) -> None:
    first = harness.start_job()
    harness.expire_lease(first)
    assert harness.run(maintenance.expire_leases).hints == [("train", first.job_id)]
    second = harness.claim(worker_id="worker_2")
    assert list_refused_writes(harness, first) == list(WRITES)
    harness.run(claims.advance_status, second, JobStatus.RUNNING)
    harness.finish(second)
    assert list_refused_writes(harness, second) == list(WRITES)  # the attempt has already ended


def list_refused_writes(harness: RegistryHarness, claim: claims.Claim) -> list[str]:
    """Try every write and return the names of those that fail and leave the job unchanged."""
    before, refused = snapshot(harness, claim.job_id), []
    for name, write in WRITES.items():
        with pytest.raises(LeaseLost):
            harness.run(write, claim)
        refused += [name] if snapshot(harness, claim.job_id) == before else []
    return refused


def snapshot(harness: RegistryHarness, job_id: str) -> Any:
    with harness.database.read() as session:
        job = queries.get(session, job_id)
        row = {column.key: getattr(job, column.key) for column in job.__mapper__.column_attrs}
        events = [event.seq for event in queries.list_events(session, job_id)]
        return (
            row,
            events,
            len(queries.list_metrics(session, job_id)),
            len(session.execute(select(Model)).all()),
        )


def test_the_next_worker_resumes_a_job_with_a_lost_lease_from_its_checkpoint(
    harness: RegistryHarness,
) -> None:
    first = harness.start_job()
    assert harness.run(claims.record_checkpoint, first, "checkpoints/1", 10) is None
    assert harness.run(claims.record_checkpoint, first, "checkpoints/2", 20) == "checkpoints/1"
    harness.expire_lease(first)
    harness.run(maintenance.expire_leases)
    second = harness.claim(worker_id="worker_2")
    assert (second.job_id, second.attempt, second.resume_from) == (first.job_id, 2, "checkpoints/2")
    with harness.database.read() as session:
        assert [attempt.status for attempt in queries.list_attempts(session, first.job_id)] == [
            "lost",
            "running",
        ]


def test_a_renewed_lease_does_not_expire(harness: RegistryHarness) -> None:
    claim = harness.start_job()
    harness.expire_lease(claim)
    harness.run(claims.heartbeat, claim, lease=LEASE)
    assert harness.run(maintenance.expire_leases).hints == []
    assert harness.get_job(claim.job_id).status == "running"


def test_a_job_whose_workers_always_disappear_fails(harness: RegistryHarness) -> None:
    job = harness.submit(max_attempts=2)
    for _ in range(2):
        harness.expire_lease(harness.claim())
        harness.run(maintenance.expire_leases)
    assert (
        harness.get_job(job).status,
        harness.get_job(job).error["code"],
        harness.get_job(job).error["cause"],
    ) == (
        "failed",
        "attempts_spent",
        "worker_lost",
    )


def test_a_user_error_is_final(harness: RegistryHarness) -> None:
    claim = harness.start_job()
    harness.run(
        claims.fail, claim, error=USER_ERROR, log_tail=[f"line {number}" for number in range(150)]
    )
    job = harness.get_job(claim.job_id)
    assert (job.status, job.error["code"], job.error["hint"], job.error["attempt"]) == (
        "failed",
        "teacher_at_chance",
        "Check the classes.",
        1,
    )
    assert (len(job.error["log"]), job.error["log"][-1]) == (100, "line 149")


def test_a_retryable_error_is_retried_after_a_delay_until_no_attempts_are_left(
    harness: RegistryHarness,
) -> None:
    claim = harness.start_job(max_attempts=2)
    harness.run(
        claims.fail, claim, error=RETRYABLE_ERROR, log_tail=["boom"], retry_after=timedelta(hours=1)
    )
    assert harness.get_job(claim.job_id).status == "queued"
    assert harness.claim() is None  # the retry delay has not passed
    # end the retry delay
    harness.run(lambda session: setattr(session.get_one(Job, claim.job_id), "not_before", None))
    harness.run(claims.fail, harness.claim(), error=RETRYABLE_ERROR)
    job = harness.get_job(claim.job_id)
    assert (job.status, job.error["code"], job.error["hint"]) == (
        "failed",
        "attempts_spent",
        "More memory.",
    )
    assert "Killed." in job.error["message"]


def test_a_corrupt_checkpoint_is_not_used_again(harness: RegistryHarness) -> None:
    claim = harness.start_job()
    harness.run(claims.record_checkpoint, claim, "checkpoints/1", 10)
    harness.run(claims.fail, claim, error={**RETRYABLE_ERROR, "code": "checkpoint_corrupt"})
    assert harness.claim().resume_from is None


def test_a_released_job_does_not_use_up_an_attempt(harness: RegistryHarness) -> None:
    job = harness.submit(max_attempts=1)
    for number in (1, 2, 3):
        claim = harness.claim()
        assert claim.attempt == number
        harness.run(claims.release, claim)
    assert (harness.get_job(job).status, harness.get_job(job).spent) == ("queued", 0)


@pytest.mark.parametrize("end", ["finish", "fail", "release", "expire"])
def test_a_job_that_is_being_cancelled_always_ends_cancelled(
    harness: RegistryHarness, end: str
) -> None:
    claim = harness.start_job()
    harness.run(controls.cancel, claim.job_id, actor="key")
    if end == "finish":
        assert harness.finish(claim) is None
    elif end == "fail":
        harness.run(claims.fail, claim, error=RETRYABLE_ERROR)
    elif end == "release":
        harness.run(claims.release, claim)
    else:
        harness.expire_lease(claim)
        harness.run(maintenance.expire_leases)
    job = harness.get_job(claim.job_id)
    assert (job.status, job.model_id) == ("cancelled", None)


def test_a_worker_cannot_cancel_a_job_on_its_own(harness: RegistryHarness) -> None:
    with pytest.raises(TransitionRefused):
        harness.run(claims.mark_cancelled, harness.start_job())


def test_a_failed_check_makes_the_upload_invalid_and_leaves_no_file(
    harness: RegistryHarness,
) -> None:
    dataset = harness.upload_dataset()
    harness.fail_check("This is not an archive.")
    with harness.database.read() as session:
        row = session.get_one(Dataset, dataset)
    assert (row.status, row.error["message"], harness.store.exists(row.sha256)) == (
        "invalid",
        "This is not an archive.",
        False,
    )


def test_a_check_whose_trainer_always_dies_makes_the_upload_invalid(
    harness: RegistryHarness,
) -> None:
    dataset = harness.upload_dataset()
    job = harness.submit(dataset={"id": dataset})
    for _ in range(3):
        harness.run(claims.fail, harness.claim("checks"), error=RETRYABLE_ERROR)
    assert harness.get_job(job).error["code"] == "dataset_invalid"
    assert "Killed." in harness.get_job(job).error["message"]


def test_concurrent_workers_claim_every_job_exactly_once(
    harness: RegistryHarness, database_url: str
) -> None:
    dataset = harness.add_ready_dataset()
    submitted = [(harness.submit(dataset={"id": dataset}), 1) for _ in range(60)]
    assert Counter(claim_in_processes(database_url, rounds=60)) == Counter(submitted)
