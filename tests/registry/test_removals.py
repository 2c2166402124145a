"""A model goes only where nothing points at it any more, or where that is said."""

from typing import Any

import pytest

from registry import aliases, artifacts, jobs, models, removals
from registry.errors import ModelAliased, ModelInUse, ModelTaught, NotFound
from registry.model_tables import Model
from registry.tables import Job

World = Any  # tests/registry/conftest.py
OWNER = "key_test"


def remove(world: World, model_id: str, **options: Any) -> list[str]:
    return list(world.do(lambda s: removals.remove(s, s.get_one(Model, model_id), actor=OWNER, **options)))


def test_a_deleted_model_leaves_its_job_and_its_number(world: World) -> None:
    claim = world.running()
    model_id = world.finish(claim, b"weights")
    world.do(lambda session: models.change(session, session.get_one(Model, model_id), actor=OWNER, tags=["a"]))
    (digest,) = remove(world, model_id)
    assert world.do(artifacts.forget, world.store, digest)
    job = world.job(claim.job_id)
    assert (job.status, job.model_id) == ("succeeded", None)
    with world.database.read() as session, pytest.raises(NotFound):
        models.get(session, model_id)


def test_an_alias_keeps_its_model_unless_that_is_said(world: World) -> None:
    model_id = world.finish(world.running(name="a"))
    world.do(aliases.point, OWNER, "a", "champion", model_id, actor=OWNER)
    with pytest.raises(ModelAliased, match="a@champion"):
        remove(world, model_id)
    remove(world, model_id, force=True)
    with world.database.read() as session:
        assert aliases.entry(session, OWNER, "a").aliases == {}


def test_a_teacher_stays_while_a_job_learns_and_for_the_lineage_of_its_students(world: World) -> None:
    teacher = world.finish(world.running())
    learner = world.running(teacher={"model_id": teacher})
    for force in (False, True):
        with pytest.raises(ModelInUse, match=learner.job_id):
            remove(world, teacher, force=force)
    world.finish(learner)
    with pytest.raises(ModelTaught, match=learner.job_id):
        remove(world, teacher)
    assert remove(world, teacher, force=True)


def test_a_job_that_was_submitted_keeps_the_file_of_its_teacher(world: World) -> None:
    """Even if the model's own row were gone: the file is an input."""
    teacher = world.finish(world.running(), b"teacher's weights")
    learner = world.submit(teacher={"model_id": teacher})
    with world.database.read() as session:
        digest = session.get_one(Job, learner).inputs["teacher"]["digest"]
    world.do(lambda session: session.query(models.ModelFile).filter_by(model_id=teacher).delete())
    assert world.do(artifacts.forget, world.store, digest) is False
    world.do(jobs.cancel, learner, actor=OWNER)
    assert world.do(artifacts.forget, world.store, digest) is True
