"""Versions under names: counted, found, tagged, listed."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from pydantic import ValidationError

from registry import aliases, models, removals
from registry.errors import ModelUnknown, NotFound
from registry.model_tables import Model
from registry.requests import JobRequest

World = Any  # tests/registry/conftest.py


def made(world: World, **options: Any) -> Model:
    model_id = world.finish(world.running(**options))
    with world.database.read() as session:
        return session.get_one(Model, model_id)


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"model_name": "pets.small"}, "pets.small"),
        ({"name": " My pets, 2nd try! "}, "My-pets-2nd-try"),
        ({"name": "***"}, "resnet8"),
        ({"name": "x" * 200}, "x" * 128),
    ],
)
def test_a_model_is_named_as_asked_or_after_its_job_or_architecture(world: World, options: dict[str, Any], name: str) -> None:
    model = made(world, **options)
    assert (model.name, model.version) == (name, 1)


@pytest.mark.parametrize("name", ["", "a b", "a@b", "-a", "a/", "x" * 129, "ä"])
def test_a_name_that_could_not_be_written_in_a_reference_is_refused(name: str) -> None:
    request = {"student": {"architecture": "resnet8"}, "dataset": {"id": "dataset_1"}, "model_name": name}
    with pytest.raises(ValidationError, match="model_name"):
        JobRequest.model_validate(request)


def test_versions_count_up_by_name_and_do_not_come_again(world: World) -> None:
    dataset = world.ready_dataset()
    found = [made(world, name=name, dataset={"id": dataset}) for name in ("a", "b", "a")]
    assert [(model.name, model.version) for model in found] == [("a", 1), ("b", 1), ("a", 2)]
    world.do(lambda session: removals.remove(session, session.get_one(Model, found[2].id), actor="key_test"))
    assert made(world, name="a", dataset={"id": dataset}).version == 3


def test_jobs_that_end_together_make_versions_of_their_own(world: World) -> None:
    dataset = {"id": world.ready_dataset()}
    running = [world.running(name="a", dataset=dataset) for _ in range(12)]
    with ThreadPoolExecutor(6) as threads:
        ids = list(threads.map(world.finish, running))
    with world.database.read() as session:
        assert sorted(session.get_one(Model, model_id).version for model_id in ids) == list(range(1, 13))


def test_a_model_is_found_by_id_number_alias_and_as_the_latest(world: World) -> None:
    first, second = made(world, name="a"), made(world, name="a")
    world.do(aliases.point, "key_test", "a", "champion", first.id, actor="key_test")
    wanted = {first.id: first, "a@1": first, "a@2": second, "a@champion": first, "a@latest": second}
    with world.database.read() as session:
        for reference, model in wanted.items():
            assert models.find(session, reference, owner="key_test").id == model.id, reference
        for reference in ("a", "a@3", "a@nobody", "b@1", "@1", "a@", "a@99999999999999999999", "model_x"):
            with pytest.raises(NotFound):
                models.find(session, reference, owner="key_test")
        with pytest.raises(NotFound):
            models.find(session, "a@1", owner="key_other")
        with pytest.raises(NotFound):
            models.find(session, first.id, owner="key_other", visible="key_other")


def test_a_job_is_taught_by_what_the_alias_pointed_at_when_it_was_submitted(world: World) -> None:
    first, second = made(world, name="a"), made(world, name="a")
    world.do(aliases.point, "key_test", "a", "champion", first.id, actor="key_test")
    job = world.job(world.submit(teacher={"model_id": "a@champion"}))
    world.do(aliases.point, "key_test", "a", "champion", second.id, actor="key_test")
    assert (job.teacher_model_id, job.spec["teacher"]["model_id"]) == (first.id, first.id)
    assert (job.inputs["teacher"]["model_id"], job.inputs["teacher"]["model"]) == (first.id, "a@1")
    with pytest.raises(ModelUnknown) as refused:
        world.submit(teacher={"model_id": "a@nobody"})
    assert refused.value.pointer == "/teacher/model_id"


def test_lists_are_filtered_by_name_tags_teacher_and_data_set(world: World) -> None:
    dataset = world.ready_dataset()
    teacher = made(world, name="teacher", dataset={"id": dataset})
    student = made(world, name="student", teacher={"model_id": teacher.id})
    world.do(lambda session: models.change(session, session.get_one(Model, student.id), actor="k", tags=["b", "a", "a"]))
    world.do(lambda session: models.change(session, session.get_one(Model, teacher.id), actor="k", tags=["a"], notes="big"))

    def listed(**filters: Any) -> list[str]:
        with world.database.read() as session:
            return [model.name for model in models.page(session, models.Filters(**filters)).items]

    assert listed() == ["student", "teacher"]
    assert listed(name="teacher") == ["teacher"]
    assert listed(tags=("a",)) == ["student", "teacher"]
    assert listed(tags=("a", "b")) == ["student"]
    assert listed(teacher=teacher.id) == ["student"]
    assert listed(dataset=dataset) == ["teacher"]
    assert listed(search="TEACH") == ["teacher"]
    assert listed(search="e") == ["student", "teacher"]
    assert listed(search="_") == []
    assert listed(architecture=student.architecture) == ["student", "teacher"]
    assert listed(architecture="resnet14") == []
    assert listed(owner="key_other") == []
    with world.database.read() as session:
        assert models.tags_of(session, [student.id, teacher.id]) == {student.id: ["a", "b"], teacher.id: ["a"]}
        assert session.get_one(Model, teacher.id).notes == "big"
