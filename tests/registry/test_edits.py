"""What clients change about jobs, and what goes with those that are deleted."""

from typing import Any

import pytest
from sqlalchemy import func, select

from registry import artifacts, claims, edits, jobs, labels
from registry.claims import News, Point
from registry.errors import JobHasModel, JobNotEnded, JobNotWaiting, LabelsTooMany, ModelInUse, NotFound
from registry.tables import Attempt, AuditEvent, Job, JobEvent, JobLabel, LogLine, Metric, Model, ModelFile

World = Any  # tests/registry/conftest.py
HANGING = (JobLabel, Attempt, JobEvent, LogLine, Metric)


def change(world: World, job_id: str, **changes: Any) -> Any:
    return world.do(edits.change, job_id, changes, actor="key_test")


def test_words_can_be_changed_at_any_time_and_it_is_told(world: World) -> None:
    claim = world.running(name="first", labels={"a": "1", "b": "2"})
    change(world, claim.job_id, name="second", notes="better", labels={"b": None, "c": "3"})
    job = world.job(claim.job_id)
    assert (job.name, job.spec["name"], job.notes) == ("second", "second", "better")
    with world.database.read() as session:
        assert labels.of(session, [job.id]) == {job.id: {"a": "1", "c": "3"}}
        assert jobs.events(session, job.id)[-1].type == "changed"
        audits = session.execute(select(AuditEvent.action).where(AuditEvent.subject == job.id)).scalars().all()
    assert "job.changed" in audits


def test_the_priority_can_be_changed_while_the_job_waits(world: World) -> None:
    dataset = {"id": world.ready_dataset()}
    old, young = world.submit(dataset=dataset), world.submit(dataset=dataset)
    change(world, young, priority=5)
    assert [world.claim().job_id for _ in range(2)] == [young, old]
    with pytest.raises(JobNotWaiting) as refused:
        change(world, old, priority=9)
    assert refused.value.pointer == "/priority"
    change(world, old, priority=0)  # as it is


def test_a_job_has_only_so_many_labels(world: World) -> None:
    job_id = world.submit(labels={f"k{number}": "" for number in range(32)})
    with pytest.raises(LabelsTooMany):
        change(world, job_id, labels={"one.more": ""})
    change(world, job_id, labels={"one.more": "", "k0": None})


def count(world: World, table: Any, job_id: str) -> int:
    with world.database.read() as session:
        return session.execute(select(func.count()).select_from(table).where(table.job_id == job_id)).scalar_one()


def ended(world: World) -> str:
    """A cancelled job with everything that hangs on one."""
    claim = world.running(labels={"a": "1"})
    world.do(claims.record, claim, News(points=[Point(1, 1, {"loss": 1.0})], lines=["hello"]))
    world.do(jobs.cancel, claim.job_id, actor="key")
    world.do(claims.cancelled, claim)
    return claim.job_id


def test_a_deleted_job_takes_everything_with_it_but_the_audit(world: World) -> None:
    job_id = ended(world)
    assert all(count(world, table, job_id) for table in HANGING)
    assert world.do(edits.remove, job_id, actor="key_test") == []
    assert not any(count(world, table, job_id) for table in HANGING)
    with world.database.read() as session:
        assert session.get(Job, job_id) is None
        last = session.execute(select(AuditEvent).where(AuditEvent.subject == job_id).order_by(AuditEvent.id.desc())).scalars()
        assert last.first().action == "job.deleted"
    with pytest.raises(NotFound):
        world.do(edits.remove, job_id, actor="key_test")


def test_a_job_that_has_not_ended_stays(world: World) -> None:
    with pytest.raises(JobNotEnded, match="is running"):
        world.do(edits.remove, world.running().job_id, actor="key_test")


def test_a_model_goes_only_where_it_is_said(world: World) -> None:
    claim = world.running()
    model_id = world.finish(claim, b"weights")
    with pytest.raises(JobHasModel, match=model_id):
        world.do(edits.remove, claim.job_id, actor="key_test")
    with world.database.read() as session:
        digest = session.execute(select(ModelFile.sha256)).scalar_one()
    assert world.do(edits.remove, claim.job_id, actor="key_test", with_model=True) == [digest]
    with world.database.read() as session:
        assert session.execute(select(Model)).first() is None
    assert world.do(artifacts.forget, world.store, digest)


def test_a_model_that_is_about_to_teach_stays(world: World) -> None:
    claim = world.running()
    model_id = world.finish(claim)
    learner = world.submit(teacher={"model_id": model_id})
    with pytest.raises(ModelInUse, match=learner):
        world.do(edits.remove, claim.job_id, actor="key_test", with_model=True)
    world.do(jobs.cancel, learner, actor="key")
    world.do(edits.remove, claim.job_id, actor="key_test", with_model=True)
