"""Edits and deletion of jobs."""

from typing import Any

import pytest
from sqlalchemy import func, select

from registry.attempts import claims
from registry.attempts.claims import AttemptUpdate, MetricPoint
from registry.db.access_tables import AuditEvent
from registry.db.job_tables import Attempt, Job, JobEvent, JobLabel, LogLine, Metric
from registry.db.model_tables import Model, ModelFile
from registry.errors import (
    JobHasModel,
    JobNotEnded,
    JobNotWaiting,
    LabelsTooMany,
    ModelInUse,
    NotFound,
)
from registry.jobs import controls, edits, job_labels, queries
from registry.storage import artifacts
from tests.registry.conftest import RegistryHarness

CHILD_TABLES = (JobLabel, Attempt, JobEvent, LogLine, Metric)


def change(harness: RegistryHarness, job_id: str, **changes: Any) -> Any:
    return harness.run(edits.update_job, job_id, changes, actor="key_test")


def test_texts_and_labels_can_be_changed_at_any_time_and_the_change_is_recorded(
    harness: RegistryHarness,
) -> None:
    claim = harness.start_job(name="first", labels={"a": "1", "b": "2"})
    change(harness, claim.job_id, name="second", notes="better", labels={"b": None, "c": "3"})
    job = harness.get_job(claim.job_id)
    assert (job.name, job.spec["name"], job.notes) == ("second", "second", "better")
    with harness.database.read() as session:
        assert job_labels.labels_by_job(session, [job.id]) == {job.id: {"a": "1", "c": "3"}}
        assert queries.list_events(session, job.id)[-1].type == "changed"
        actions = (
            session.execute(select(AuditEvent.action).where(AuditEvent.subject == job.id))
            .scalars()
            .all()
        )
    assert "job.changed" in actions


def test_the_priority_can_be_changed_while_the_job_waits(harness: RegistryHarness) -> None:
    dataset = {"id": harness.add_ready_dataset()}
    older, newer = harness.submit(dataset=dataset), harness.submit(dataset=dataset)
    change(harness, newer, priority=5)
    assert [harness.claim().job_id for _ in range(2)] == [newer, older]
    with pytest.raises(JobNotWaiting) as refused:
        change(harness, older, priority=9)
    assert refused.value.pointer == "/priority"
    change(harness, older, priority=0)  # unchanged


def test_the_number_of_labels_is_limited(harness: RegistryHarness) -> None:
    job_id = harness.submit(labels={f"k{number}": "" for number in range(32)})
    with pytest.raises(LabelsTooMany):
        change(harness, job_id, labels={"one.more": ""})
    change(harness, job_id, labels={"one.more": "", "k0": None})


def count_rows(harness: RegistryHarness, table: Any, job_id: str) -> int:
    with harness.database.read() as session:
        return session.execute(
            select(func.count()).select_from(table).where(table.job_id == job_id)
        ).scalar_one()


def make_cancelled_job(harness: RegistryHarness) -> str:
    """Create a cancelled job with rows in all child tables."""
    claim = harness.start_job(labels={"a": "1"})
    harness.run(
        claims.record_update,
        claim,
        AttemptUpdate(points=[MetricPoint(1, 1, {"loss": 1.0})], log_lines=["hello"]),
    )
    harness.run(controls.cancel, claim.job_id, actor="key")
    harness.run(claims.mark_cancelled, claim)
    return claim.job_id


def test_deleting_a_job_deletes_everything_except_its_audit_entries(
    harness: RegistryHarness,
) -> None:
    job_id = make_cancelled_job(harness)
    assert all(count_rows(harness, table, job_id) for table in CHILD_TABLES)
    assert harness.run(edits.delete_job, job_id, actor="key_test") == []
    assert not any(count_rows(harness, table, job_id) for table in CHILD_TABLES)
    with harness.database.read() as session:
        assert session.get(Job, job_id) is None
        entries = session.execute(
            select(AuditEvent).where(AuditEvent.subject == job_id).order_by(AuditEvent.id.desc())
        ).scalars()
        assert entries.first().action == "job.deleted"
    with pytest.raises(NotFound):
        harness.run(edits.delete_job, job_id, actor="key_test")


def test_a_job_that_has_not_ended_cannot_be_deleted(harness: RegistryHarness) -> None:
    with pytest.raises(JobNotEnded, match="is still running"):
        harness.run(edits.delete_job, harness.start_job().job_id, actor="key_test")


def test_a_job_is_deleted_with_its_model_only_on_request(harness: RegistryHarness) -> None:
    claim = harness.start_job()
    model_id = harness.finish(claim, b"weights")
    with pytest.raises(JobHasModel, match=model_id):
        harness.run(edits.delete_job, claim.job_id, actor="key_test")
    with harness.database.read() as session:
        digest = session.execute(select(ModelFile.sha256)).scalar_one()
    assert harness.run(edits.delete_job, claim.job_id, actor="key_test", with_model=True) == [
        digest
    ]
    with harness.database.read() as session:
        assert session.execute(select(Model)).first() is None
    assert harness.run(artifacts.delete_if_unreferenced, harness.store, digest)


def test_a_job_whose_model_teaches_another_job_cannot_be_deleted_with_it(
    harness: RegistryHarness,
) -> None:
    claim = harness.start_job()
    model_id = harness.finish(claim)
    learner = harness.submit(teacher={"model_id": model_id})
    with pytest.raises(ModelInUse, match=learner):
        harness.run(edits.delete_job, claim.job_id, actor="key_test", with_model=True)
    harness.run(controls.cancel, learner, actor="key")
    harness.run(edits.delete_job, claim.job_id, actor="key_test", with_model=True)
