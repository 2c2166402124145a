"""A teacher or data set goes only where no job needs it any more and, unless that is said, no model's lineage names it."""

from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from registry import artifacts, claims, clones, controls, discards, jobs, lineage, quotas
from registry.db import Database
from registry.errors import DatasetUnknown, JobEnded, NotFound, RegistryError, TeacherUnknown
from registry.model_tables import Model
from registry.quotas import Limits
from registry.requests import JobRequest
from registry.tables import AuditEvent, Dataset, Job, Teacher
from registry.upload_errors import DatasetInLineage, DatasetInUse, TeacherInLineage, TeacherInUse
from registry.uploads import CHECKS

World = Any  # tests/registry/conftest.py
OWNER = "key_test"
ON_POSTGRESQL = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)  # SQLite lets one write at a time
MISTAKE = {"code": "training_diverged", "message": "NaN.", "hint": "", "retryable": False}


def remove(session: Session, row_id: str, *, force: bool = False) -> list[str]:
    table: type[Teacher | Dataset] = Teacher if row_id.startswith("teacher") else Dataset
    return discards.discard(session, table, row_id, actor=OWNER, force=force)


def refused(world: World, row_id: str, *, force: bool = False) -> RegistryError:
    with pytest.raises(RegistryError) as refusal:
        world.do(remove, row_id, force=force)
    return refusal.value


@pytest.mark.parametrize(("kind", "files"), [("teacher", 1), ("dataset", 3)])
def test_it_is_gone_with_its_files_and_its_part_of_the_quota(world: World, kind: str, files: int) -> None:
    row_id = getattr(world, f"ready_{kind}")()
    assert world.do(quotas.usage, OWNER, Limits()).stored_bytes.used > 0
    digests = world.do(remove, row_id)
    assert [world.do(artifacts.forget, world.store, digest) for digest in digests] == [True] * files
    assert world.do(quotas.usage, OWNER, Limits()).stored_bytes.used == 0
    assert isinstance(refused(world, row_id), NotFound)
    with world.database.read() as session:
        noted = session.execute(select(AuditEvent).where(AuditEvent.action == f"{kind}.deleted")).scalar_one()
    assert (noted.subject, noted.actor, noted.data["sha256"]) == (row_id, OWNER, digests[0])


def test_bytes_that_something_else_names_stay(world: World) -> None:
    first, second = world.teacher(b"weights"), world.teacher(b"weights")
    (digest,) = world.do(remove, first)
    assert world.do(artifacts.forget, world.store, digest) is False
    world.do(remove, second)
    assert world.do(artifacts.forget, world.store, digest) is True


def test_a_check_that_waits_is_cancelled_and_one_that_runs_is_waited_for(world: World) -> None:
    waits, runs = world.teacher(), world.dataset()
    world.do(remove, waits)
    claim = world.claim(CHECKS)
    assert claim.subject_id == runs
    refusal = refused(world, runs, force=True)
    assert isinstance(refusal, DatasetInUse)
    assert refusal.hint == "Wait until its check has ended."
    world.pass_claimed(claim)
    world.do(remove, runs)
    assert world.claim(CHECKS) is None


def test_one_that_was_found_unfit_goes_too(world: World) -> None:
    dataset = world.dataset()
    world.fail_check()
    world.do(remove, dataset)


@pytest.mark.parametrize("use", ["teacher", "dataset", "transfer"])
def test_a_job_that_has_not_ended_keeps_what_it_needs(world: World, use: str) -> None:
    """Waiting for the checks, paused or working; not even `force` helps."""
    own, other, teacher = world.ready_dataset(), world.ready_dataset(), world.ready_teacher()
    spec = {"dataset": {"id": own}, "teacher": {"id": teacher}, "evaluation": [{"name": "transfer", "dataset": {"id": other}}]}
    needed = {"teacher": teacher, "dataset": own, "transfer": other}[use]
    job = world.submit(**spec)
    world.do(controls.pause, job, actor=OWNER)
    for force in (False, True):
        refusal = refused(world, needed, force=force)
        assert isinstance(refusal, TeacherInUse if use == "teacher" else DatasetInUse)
        assert job in refusal.hint
    world.do(jobs.cancel, job, actor=OWNER)
    world.do(remove, needed)


def test_a_job_that_waits_for_the_check_keeps_the_upload(world: World) -> None:
    dataset, teacher = world.ready_dataset(), world.teacher()
    job = world.submit(dataset={"id": dataset}, teacher={"id": teacher})
    assert job in refused(world, teacher).hint


@pytest.mark.parametrize("use", ["teacher", "dataset", "transfer"])
def test_the_lineage_of_a_model_keeps_it_unless_that_is_said(world: World, use: str) -> None:
    own, other, teacher = world.ready_dataset(), world.ready_dataset(), world.ready_teacher()
    spec = {"dataset": {"id": own}, "teacher": {"id": teacher}, "evaluation": [{"name": "transfer", "dataset": {"id": other}}]}
    named = {"teacher": teacher, "dataset": own, "transfer": other}[use]
    model = world.finish(world.running(**spec))
    refusal = refused(world, named)
    assert isinstance(refusal, TeacherInLineage if use == "teacher" else DatasetInLineage)
    assert model in refusal.message
    assert "force=true" in refusal.hint
    (before,) = [node for node in graph(world, model) if node.id == named]
    world.do(remove, named, force=True)
    (after,) = [node for node in graph(world, model) if node.id == named]
    assert (before.deleted, after.deleted) == (False, True)
    assert (after.kind, after.name, after.facts["used_sha256"]) == (before.kind, before.name, before.facts["used_sha256"])
    assert after.name
    assert after.facts.get("sha256") == before.facts.get("sha256")
    assert [node.id for node in graph(world, model) if node.deleted] == [named]


def graph(world: World, model_id: str) -> list[lineage.Node]:
    with world.database.read() as session:
        return lineage.graph(session, session.get_one(Model, model_id), world.principal).nodes


def test_a_refusal_names_some_of_many_jobs(world: World) -> None:
    dataset = world.ready_dataset()
    made = [world.submit(dataset={"id": dataset}) for _ in range(7)]
    hint = refused(world, dataset).hint
    assert [job for job in made if job in hint] == sorted(made)[:5]
    assert hint.endswith("and 2 more.")


def failed_on(world: World, **spec: Any) -> str:
    claim = world.running(**spec)
    world.do(claims.fail, claim, error=MISTAKE)
    return str(claim.job_id)


@pytest.mark.parametrize(("kind", "error"), [("teacher", TeacherUnknown), ("dataset", DatasetUnknown)])
def test_an_ended_job_without_it_is_neither_tried_again_nor_cloned(world: World, kind: str, error: type[RegistryError]) -> None:
    given = {"dataset": world.ready_dataset(), "teacher": world.ready_teacher()}
    spec = {name: {"id": row_id} for name, row_id in given.items()}
    job_id = failed_on(world, **spec)
    world.do(remove, given[kind])
    before = facts(world, job_id)
    with pytest.raises(error, match=given[kind]) as refusal:
        world.do(controls.retry, job_id, actor=OWNER, more_time={})
    assert "Clone" in refusal.value.hint
    with pytest.raises(JobEnded):
        world.do(controls.resume, job_id, actor=OWNER)
    with world.database.read() as session:
        request = clones.request_of(session, session.get_one(Job, job_id))
    with pytest.raises(error, match=given[kind]):
        world.do(jobs.submit, world.principal, JobRequest.model_validate(request))
    assert facts(world, job_id) == before
    other = getattr(world, f"ready_{kind}")()
    changed = JobRequest.model_validate(clones.patched(request, {kind: {"id": other}}))
    assert world.do(jobs.submit, world.principal, changed).status == "queued"


def facts(world: World, job_id: str) -> dict[str, Any]:
    job = world.job(job_id)
    return {column.key: getattr(job, column.key) for column in Job.__table__.columns}


@ON_POSTGRESQL
@pytest.mark.parametrize("use", ["teacher", "dataset", "transfer"])
def test_no_job_comes_to_name_what_is_just_deleted(world: World, use: str) -> None:
    """Two transactions at once: whichever comes second waits for the first and sees what it did."""
    own, teacher, other = world.ready_dataset(), world.ready_teacher(), world.ready_dataset()
    named = {"dataset": own, "teacher": teacher, "transfer": other}[use]
    transfer = {"name": "transfer", "dataset": {"id": other}}
    spec = {"dataset": {"id": own}, "teacher": {"id": teacher}, "evaluation": [transfer], "student": {"architecture": "resnet8"}}

    def submit(session: Session) -> str:
        return jobs.submit(session, world.principal, JobRequest.model_validate(spec)).id

    with world.database.write() as first:
        job = submit(first)
        assert_waits(world.database, remove, named)
    assert job in refused(world, named).hint
    world.do(jobs.cancel, job, actor=OWNER)
    with world.database.write() as first:
        remove(first, named)
        assert_waits(world.database, submit)
    with pytest.raises(TeacherUnknown if use == "teacher" else DatasetUnknown, match=named):
        world.do(submit)


@ON_POSTGRESQL
def test_a_retry_waits_for_a_deletion_and_the_other_way_round(world: World) -> None:
    dataset = world.ready_dataset()
    job = failed_on(world, dataset={"id": dataset})

    def retry(session: Session) -> None:
        controls.retry(session, job, actor=OWNER, more_time={})

    with world.database.write() as first:
        retry(first)
        assert_waits(world.database, remove, dataset)
    assert isinstance(refused(world, dataset), DatasetInUse)
    world.do(jobs.cancel, job, actor=OWNER)
    with world.database.write() as first:
        remove(first, dataset)
        assert_waits(world.database, retry)
    with pytest.raises(DatasetUnknown):
        world.do(retry)


def assert_waits(database: Database, use_case: Any, *arguments: Any) -> None:
    """The use case, in a transaction of its own, does not get by the locks of the one that is open."""

    def hurry() -> None:
        with database.write() as session:
            session.execute(text("SET LOCAL lock_timeout = '50ms'"))
            use_case(session, *arguments)

    with pytest.raises(OperationalError, match="lock timeout"):
        hurry()
