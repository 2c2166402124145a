"""Maintenance tasks: messages for queued jobs, stale checkpoints and pruning of old history."""

from datetime import timedelta

from sqlalchemy import func, select

from registry.attempts import claims, maintenance
from registry.attempts.claims import AttemptUpdate, MetricPoint
from registry.db.job_tables import Attempt, Job, JobEvent, LogLine, Metric
from registry.jobs import controls
from registry.workers import membership
from tests.registry.conftest import RegistryHarness

SOON, LATER = timedelta(seconds=5), timedelta(seconds=60)
WORKER = {"name": "a", "hostname": "a", "pid": 1, "slots": {"train": 2, "checks": 1}, "devices": []}


def take_hints(harness: RegistryHarness) -> list[tuple[str, str]]:
    return harness.run(maintenance.take_due_hints, resend_after=SOON, alive_within=LATER)


def test_the_best_jobs_get_a_message_for_each_free_slot(harness: RegistryHarness) -> None:
    dataset = {"id": harness.add_ready_dataset()}
    harness.run(membership.register, "worker_1", WORKER)
    submitted = [harness.submit(dataset=dataset, priority=priority) for priority in (0, 1, 2, 3)]
    assert take_hints(harness) == [("train", submitted[3]), ("train", submitted[2])]
    assert take_hints(harness) == []  # messages are not repeated immediately
    harness.claim()
    assert harness.claim() is not None
    assert take_hints(harness) == []  # all slots are in use


def test_there_are_no_messages_without_live_workers(harness: RegistryHarness) -> None:
    harness.submit()
    assert take_hints(harness) == []
    harness.run(membership.register, "worker_1", WORKER)
    assert (
        harness.run(maintenance.take_due_hints, resend_after=SOON, alive_within=timedelta()) == []
    )
    assert len(take_hints(harness)) == 1


def test_a_job_gets_its_message_when_its_retry_delay_is_over(harness: RegistryHarness) -> None:
    harness.run(membership.register, "worker_1", WORKER)
    claim = harness.start_job()
    error = {"code": "trainer_died", "message": "", "hint": "", "retryable": True}
    harness.run(claims.fail, claim, error=error, retry_after=timedelta(hours=1))
    assert take_hints(harness) == []
    # end the retry delay
    harness.run(lambda session: setattr(session.get_one(Job, claim.job_id), "not_before", None))
    assert take_hints(harness) == [("train", claim.job_id)]


def test_the_checkpoint_of_a_cancelled_job_is_stale_after_the_retention(
    harness: RegistryHarness,
) -> None:
    claim = harness.start_job()
    harness.run(claims.record_checkpoint, claim, "checkpoints/1", 1)
    assert harness.run(maintenance.list_stale_checkpoints, retention=timedelta()) == []
    harness.run(controls.cancel, claim.job_id, actor="key")
    harness.run(claims.mark_cancelled, claim)
    # During the retention period, a retry may still need the checkpoint.
    assert harness.run(maintenance.list_stale_checkpoints, retention=LATER) == []
    assert [
        job.id for job in harness.run(maintenance.list_stale_checkpoints, retention=timedelta())
    ] == [claim.job_id]


def test_the_checkpoint_of_a_succeeded_job_is_stale_at_once(harness: RegistryHarness) -> None:
    claim = harness.start_job()
    harness.run(claims.record_checkpoint, claim, "checkpoints/1", 1)
    harness.finish(claim)
    assert [job.id for job in harness.run(maintenance.list_stale_checkpoints, retention=LATER)] == [
        claim.job_id
    ]


def test_only_the_history_of_jobs_that_ended_long_ago_is_pruned(harness: RegistryHarness) -> None:
    ended, running = harness.start_job(), harness.start_job()
    update = AttemptUpdate(points=[MetricPoint(1, 1, {"loss": 1.0})], log_lines=["a line"])
    for claim in (ended, running):
        harness.run(claims.record_update, claim, update)
    harness.finish(ended)
    assert harness.run(maintenance.prune_history, retention=timedelta(hours=1)) == []
    # The result also contains the jobs that checked the datasets.
    assert ended.job_id in harness.run(maintenance.prune_history, retention=timedelta())
    assert harness.run(maintenance.prune_history, retention=timedelta()) == []
    with harness.database.read() as session:
        for table in (JobEvent, Metric, LogLine):
            left = session.execute(select(table.job_id, func.count()).group_by(table.job_id)).all()
            assert [job_id for job_id, _ in left] == [running.job_id], table
        assert session.get_one(Job, ended.job_id).status == "succeeded"
        assert session.get_one(Attempt, (ended.job_id, 1)).status == "succeeded"
