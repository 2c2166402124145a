"""Deletion of teachers and datasets, unless a job or a model's lineage prevents it."""

from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from registry.access import quotas
from registry.access.quotas import QuotaLimits
from registry.attempts import claims
from registry.db.access_tables import AuditEvent
from registry.db.database import Database
from registry.db.input_tables import Dataset, Teacher
from registry.db.job_tables import Job
from registry.db.model_tables import Model
from registry.errors import (
    DatasetInLineage,
    DatasetInUse,
    DatasetUnknown,
    JobEnded,
    NotFound,
    RegistryError,
    TeacherInLineage,
    TeacherInUse,
    TeacherUnknown,
)
from registry.inputs import input_deletion
from registry.jobs import clones, controls, submission
from registry.jobs.job_request import JobRequest
from registry.jobs.queue_names import QueueName
from registry.models import lineage
from registry.storage import artifacts
from tests.registry.conftest import RegistryHarness

OWNER = "key_test"
# SQLite runs one write transaction at a time, so row locks are tested with PostgreSQL only.
ON_POSTGRESQL = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
USER_ERROR = {"code": "training_diverged", "message": "NaN.", "hint": "", "retryable": False}


def delete_input(session: Session, row_id: str, *, force: bool = False) -> list[str]:
    table: type[Teacher | Dataset] = Teacher if row_id.startswith("teacher") else Dataset
    return input_deletion.delete_input(session, table, row_id, actor=OWNER, force=force)


def expect_refusal(harness: RegistryHarness, row_id: str, *, force: bool = False) -> RegistryError:
    with pytest.raises(RegistryError) as refusal:
        harness.run(delete_input, row_id, force=force)
    return refusal.value


@pytest.mark.parametrize(("kind", "files"), [("teacher", 1), ("dataset", 4)])
def test_a_deleted_input_frees_its_files_and_quota(
    harness: RegistryHarness, kind: str, files: int
) -> None:
    row_id = getattr(harness, f"add_ready_{kind}")()
    assert harness.run(quotas.get_usage, OWNER, QuotaLimits()).stored_bytes.used > 0
    digests = harness.run(delete_input, row_id)
    assert [
        harness.run(artifacts.delete_if_unreferenced, harness.store, digest) for digest in digests
    ] == [True] * files
    assert harness.run(quotas.get_usage, OWNER, QuotaLimits()).stored_bytes.used == 0
    assert isinstance(expect_refusal(harness, row_id), NotFound)
    with harness.database.read() as session:
        event = session.execute(
            select(AuditEvent).where(AuditEvent.action == f"{kind}.deleted")
        ).scalar_one()
    assert (event.subject, event.actor, event.data["sha256"]) == (row_id, OWNER, digests[0])


def test_files_that_another_input_uses_stay(harness: RegistryHarness) -> None:
    first, second = harness.upload_teacher(b"weights"), harness.upload_teacher(b"weights")
    (digest,) = harness.run(delete_input, first)
    assert harness.run(artifacts.delete_if_unreferenced, harness.store, digest) is False
    harness.run(delete_input, second)
    assert harness.run(artifacts.delete_if_unreferenced, harness.store, digest) is True


def test_a_waiting_check_is_cancelled_and_a_running_check_blocks_the_deletion(
    harness: RegistryHarness,
) -> None:
    waiting, running = harness.upload_teacher(), harness.upload_dataset()
    harness.run(delete_input, waiting)
    claim = harness.claim(QueueName.CHECKS)
    assert claim.subject_id == running
    refusal = expect_refusal(harness, running, force=True)
    assert isinstance(refusal, DatasetInUse)
    assert refusal.hint == "Wait until the check has ended."
    harness.pass_claimed_check(claim)
    harness.run(delete_input, running)
    assert harness.claim(QueueName.CHECKS) is None


def test_an_invalid_input_can_be_deleted(harness: RegistryHarness) -> None:
    dataset = harness.upload_dataset()
    harness.fail_check()
    harness.run(delete_input, dataset)


@pytest.mark.parametrize("use", ["teacher", "dataset", "transfer"])
def test_an_input_of_an_unfinished_job_cannot_be_deleted(
    harness: RegistryHarness, use: str
) -> None:
    """The deletion is refused even with `force`."""
    own, other, teacher = (
        harness.add_ready_dataset(),
        harness.add_ready_dataset(),
        harness.add_ready_teacher(),
    )
    spec = {
        "dataset": {"id": own},
        "teacher": {"id": teacher},
        "evaluation": [{"name": "transfer", "dataset": {"id": other}}],
    }
    input_id = {"teacher": teacher, "dataset": own, "transfer": other}[use]
    job = harness.submit(**spec)
    harness.run(controls.pause, job, actor=OWNER)
    for force in (False, True):
        refusal = expect_refusal(harness, input_id, force=force)
        assert isinstance(refusal, TeacherInUse if use == "teacher" else DatasetInUse)
        assert job in refusal.hint
    harness.run(controls.cancel, job, actor=OWNER)
    harness.run(delete_input, input_id)


def test_an_input_cannot_be_deleted_while_a_job_waits_for_its_check(
    harness: RegistryHarness,
) -> None:
    dataset, teacher = harness.add_ready_dataset(), harness.upload_teacher()
    job = harness.submit(dataset={"id": dataset}, teacher={"id": teacher})
    assert job in expect_refusal(harness, teacher).hint


@pytest.mark.parametrize("use", ["teacher", "dataset", "transfer"])
def test_an_input_in_a_lineage_is_deleted_only_by_force(harness: RegistryHarness, use: str) -> None:
    own, other, teacher = (
        harness.add_ready_dataset(),
        harness.add_ready_dataset(),
        harness.add_ready_teacher(),
    )
    spec = {
        "dataset": {"id": own},
        "teacher": {"id": teacher},
        "evaluation": [{"name": "transfer", "dataset": {"id": other}}],
    }
    input_id = {"teacher": teacher, "dataset": own, "transfer": other}[use]
    model = harness.finish(harness.start_job(**spec))
    refusal = expect_refusal(harness, input_id)
    assert isinstance(refusal, TeacherInLineage if use == "teacher" else DatasetInLineage)
    assert model in refusal.message
    assert "force=true" in refusal.hint
    (before,) = [node for node in list_nodes(harness, model) if node.id == input_id]
    harness.run(delete_input, input_id, force=True)
    (after,) = [node for node in list_nodes(harness, model) if node.id == input_id]
    assert (before.deleted, after.deleted) == (False, True)
    assert (after.kind, after.name, after.facts["used_sha256"]) == (
        before.kind,
        before.name,
        before.facts["used_sha256"],
    )
    assert after.name
    assert after.facts.get("sha256") == before.facts.get("sha256")
    assert [node.id for node in list_nodes(harness, model) if node.deleted] == [input_id]


def list_nodes(harness: RegistryHarness, model_id: str) -> list[lineage.LineageNode]:
    with harness.database.read() as session:
        return lineage.build_graph(
            session, session.get_one(Model, model_id), harness.principal
        ).nodes


def test_a_refusal_lists_at_most_five_jobs(harness: RegistryHarness) -> None:
    dataset = harness.add_ready_dataset()
    submitted = [harness.submit(dataset={"id": dataset}) for _ in range(7)]
    hint = expect_refusal(harness, dataset).hint
    assert [job for job in submitted if job in hint] == sorted(submitted)[:5]
    assert hint.endswith("and 2 more.")


def fail_job(harness: RegistryHarness, **spec: Any) -> str:
    claim = harness.start_job(**spec)
    harness.run(claims.fail, claim, error=USER_ERROR)
    return str(claim.job_id)


@pytest.mark.parametrize(
    ("kind", "error"), [("teacher", TeacherUnknown), ("dataset", DatasetUnknown)]
)
def test_an_ended_job_cannot_be_retried_or_cloned_without_its_inputs(
    harness: RegistryHarness, kind: str, error: type[RegistryError]
) -> None:
    inputs = {"dataset": harness.add_ready_dataset(), "teacher": harness.add_ready_teacher()}
    spec = {name: {"id": row_id} for name, row_id in inputs.items()}
    job_id = fail_job(harness, **spec)
    harness.run(delete_input, inputs[kind])
    before = get_inputs(harness, job_id)
    with pytest.raises(error, match=inputs[kind]) as refusal:
        harness.run(controls.retry, job_id, actor=OWNER, overrides={})
    assert "Clone" in refusal.value.hint
    with pytest.raises(JobEnded):
        harness.run(controls.resume, job_id, actor=OWNER)
    with harness.database.read() as session:
        request = clones.rebuild_request(session, session.get_one(Job, job_id))
    with pytest.raises(error, match=inputs[kind]):
        harness.run(submission.submit, harness.principal, JobRequest.model_validate(request))
    assert get_inputs(harness, job_id) == before
    other = getattr(harness, f"add_ready_{kind}")()
    changed_request = JobRequest.model_validate(
        clones.apply_merge_patch(request, {kind: {"id": other}})
    )
    assert harness.run(submission.submit, harness.principal, changed_request).status == "queued"


def get_inputs(harness: RegistryHarness, job_id: str) -> dict[str, Any]:
    job = harness.get_job(job_id)
    return {column.key: getattr(job, column.key) for column in Job.__table__.columns}


@ON_POSTGRESQL
@pytest.mark.parametrize("use", ["teacher", "dataset", "transfer"])
def test_a_submission_and_a_deletion_wait_for_each_other(
    harness: RegistryHarness, use: str
) -> None:
    """The second transaction waits for the first one to commit and then sees its changes."""
    own, teacher, other = (
        harness.add_ready_dataset(),
        harness.add_ready_teacher(),
        harness.add_ready_dataset(),
    )
    input_id = {"dataset": own, "teacher": teacher, "transfer": other}[use]
    transfer = {"name": "transfer", "dataset": {"id": other}}
    spec = {
        "dataset": {"id": own},
        "teacher": {"id": teacher},
        "evaluation": [transfer],
        "student": {"architecture": "resnet8"},
    }

    def submit(session: Session) -> str:
        return submission.submit(session, harness.principal, JobRequest.model_validate(spec)).id

    with harness.database.write() as first:
        job = submit(first)
        assert_waits(harness.database, delete_input, input_id)
    assert job in expect_refusal(harness, input_id).hint
    harness.run(controls.cancel, job, actor=OWNER)
    with harness.database.write() as first:
        delete_input(first, input_id)
        assert_waits(harness.database, submit)
    with pytest.raises(TeacherUnknown if use == "teacher" else DatasetUnknown, match=input_id):
        harness.run(submit)


@ON_POSTGRESQL
def test_a_retry_and_a_deletion_wait_for_each_other(harness: RegistryHarness) -> None:
    dataset = harness.add_ready_dataset()
    job = fail_job(harness, dataset={"id": dataset})

    def retry(session: Session) -> None:
        controls.retry(session, job, actor=OWNER, overrides={})

    with harness.database.write() as first:
        retry(first)
        assert_waits(harness.database, delete_input, dataset)
    assert isinstance(expect_refusal(harness, dataset), DatasetInUse)
    harness.run(controls.cancel, job, actor=OWNER)
    with harness.database.write() as first:
        delete_input(first, dataset)
        assert_waits(harness.database, retry)
    with pytest.raises(DatasetUnknown):
        harness.run(retry)


def assert_waits(database: Database, use_case: Any, *arguments: Any) -> None:
    """Assert that the use case waits for a lock that another transaction holds."""

    def run_with_short_timeout() -> None:
        with database.write() as session:
            session.execute(text("SET LOCAL lock_timeout = '50ms'"))
            use_case(session, *arguments)

    with pytest.raises(OperationalError, match="lock timeout"):
        run_with_short_timeout()
