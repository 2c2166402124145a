"""Deletion of unreferenced models, and forced deletion of referenced ones."""

from typing import Any

import pytest

from registry.db.job_tables import Job
from registry.db.model_tables import Model
from registry.errors import ModelAliased, ModelInUse, ModelUsedAsTeacher, NotFound
from registry.jobs import controls
from registry.models import aliases, model_deletion, model_versions
from registry.storage import artifacts
from tests.registry.conftest import RegistryHarness

OWNER = "key_test"


def delete_model(harness: RegistryHarness, model_id: str, **options: Any) -> list[str]:
    return list(
        harness.run(
            lambda session: model_deletion.delete_model(
                session, session.get_one(Model, model_id), actor=OWNER, **options
            )
        )
    )


def test_a_deleted_model_leaves_its_job(harness: RegistryHarness) -> None:
    claim = harness.start_job()
    model_id = harness.finish(claim, b"weights")
    harness.run(
        lambda session: model_versions.update_model(
            session, session.get_one(Model, model_id), actor=OWNER, tags=["a"]
        )
    )
    (digest,) = delete_model(harness, model_id)
    assert harness.run(artifacts.delete_if_unreferenced, harness.store, digest)
    job = harness.get_job(claim.job_id)
    assert (job.status, job.model_id) == ("succeeded", None)
    with harness.database.read() as session, pytest.raises(NotFound):
        model_versions.get(session, model_id)


def test_an_aliased_model_is_deleted_only_by_force(harness: RegistryHarness) -> None:
    model_id = harness.finish(harness.start_job(name="a"))
    harness.run(aliases.set_alias, OWNER, "a", "champion", model_id, actor=OWNER)
    with pytest.raises(ModelAliased, match="a@champion"):
        delete_model(harness, model_id)
    delete_model(harness, model_id, force=True)
    with harness.database.read() as session:
        assert aliases.get_registered_model(session, OWNER, "a").aliases == {}


def test_a_teacher_of_a_finished_student_is_deleted_only_by_force_and_not_while_a_job_uses_it(
    harness: RegistryHarness,
) -> None:
    teacher = harness.finish(harness.start_job())
    student_claim = harness.start_job(teacher={"model_id": teacher})
    for force in (False, True):
        with pytest.raises(ModelInUse, match=student_claim.job_id):
            delete_model(harness, teacher, force=force)
    harness.finish(student_claim)
    with pytest.raises(ModelUsedAsTeacher, match=student_claim.job_id):
        delete_model(harness, teacher)
    assert delete_model(harness, teacher, force=True)


def test_the_file_of_a_submitted_jobs_teacher_stays(harness: RegistryHarness) -> None:
    """The job still needs the file after the row of the model file has been deleted."""
    teacher = harness.finish(harness.start_job(), b"teacher's weights")
    student_job = harness.submit(teacher={"model_id": teacher})
    with harness.database.read() as session:
        digest = session.get_one(Job, student_job).inputs["teacher"]["digest"]
    harness.run(
        lambda session: session.query(model_versions.ModelFile).filter_by(model_id=teacher).delete()
    )
    assert harness.run(artifacts.delete_if_unreferenced, harness.store, digest) is False
    harness.run(controls.cancel, student_job, actor=OWNER)
    assert harness.run(artifacts.delete_if_unreferenced, harness.store, digest) is True
