"""Model versions: numbering, lookup, tags and lists."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from pydantic import ValidationError

from registry.db.model_tables import Model
from registry.errors import ModelUnknown, NotFound
from registry.jobs.job_request import JobRequest
from registry.models import aliases, model_deletion, model_versions
from tests.registry.conftest import RegistryHarness


def publish_model(harness: RegistryHarness, **options: Any) -> Model:
    model_id = harness.finish(harness.start_job(**options))
    with harness.database.read() as session:
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
def test_a_model_is_named_as_requested_or_after_its_job_or_architecture(
    harness: RegistryHarness, options: dict[str, Any], name: str
) -> None:
    model = publish_model(harness, **options)
    assert (model.name, model.version) == (name, 1)


@pytest.mark.parametrize("name", ["", "a b", "a@b", "-a", "a/", "x" * 129, "ä"])
def test_a_name_that_cannot_be_part_of_a_reference_is_refused(name: str) -> None:
    request = {
        "student": {"architecture": "resnet8"},
        "dataset": {"id": "dataset_1"},
        "model_name": name,
    }
    with pytest.raises(ValidationError, match="model_name"):
        JobRequest.model_validate(request)


def test_version_numbers_count_up_per_name_and_are_never_reused(harness: RegistryHarness) -> None:
    dataset = harness.add_ready_dataset()
    published = [
        publish_model(harness, name=name, dataset={"id": dataset}) for name in ("a", "b", "a")
    ]
    assert [(model.name, model.version) for model in published] == [("a", 1), ("b", 1), ("a", 2)]
    harness.run(
        lambda session: model_deletion.delete_model(
            session, session.get_one(Model, published[2].id), actor="key_test"
        )
    )
    assert publish_model(harness, name="a", dataset={"id": dataset}).version == 3


def test_jobs_that_finish_concurrently_get_different_versions(harness: RegistryHarness) -> None:
    dataset = {"id": harness.add_ready_dataset()}
    claims = [harness.start_job(name="a", dataset=dataset) for _ in range(12)]
    with ThreadPoolExecutor(6) as threads:
        ids = list(threads.map(harness.finish, claims))
    with harness.database.read() as session:
        assert sorted(session.get_one(Model, model_id).version for model_id in ids) == list(
            range(1, 13)
        )


def test_a_model_is_found_by_id_version_alias_and_latest(harness: RegistryHarness) -> None:
    first, second = publish_model(harness, name="a"), publish_model(harness, name="a")
    harness.run(aliases.set_alias, "key_test", "a", "champion", first.id, actor="key_test")
    expected = {
        first.id: first,
        "a@1": first,
        "a@2": second,
        "a@champion": first,
        "a@latest": second,
    }
    with harness.database.read() as session:
        for reference, model in expected.items():
            assert model_versions.find(session, reference, owner="key_test").id == model.id, (
                reference
            )
        for reference in (
            "a",
            "a@3",
            "a@missing",
            "b@1",
            "@1",
            "a@",
            "a@99999999999999999999",
            "model_x",
        ):
            with pytest.raises(NotFound):
                model_versions.find(session, reference, owner="key_test")
        with pytest.raises(NotFound):
            model_versions.find(session, "a@1", owner="key_other")
        with pytest.raises(NotFound):
            model_versions.find(session, first.id, owner="key_other", visible_owner="key_other")


def test_an_alias_of_a_teacher_is_resolved_when_the_job_is_submitted(
    harness: RegistryHarness,
) -> None:
    first, second = publish_model(harness, name="a"), publish_model(harness, name="a")
    harness.run(aliases.set_alias, "key_test", "a", "champion", first.id, actor="key_test")
    job = harness.get_job(harness.submit(teacher={"model_id": "a@champion"}))
    harness.run(aliases.set_alias, "key_test", "a", "champion", second.id, actor="key_test")
    assert (job.teacher_model_id, job.spec["teacher"]["model_id"]) == (first.id, first.id)
    assert (job.inputs["teacher"]["model_id"], job.inputs["teacher"]["model"]) == (first.id, "a@1")
    with pytest.raises(ModelUnknown) as refused:
        harness.submit(teacher={"model_id": "a@missing"})
    assert refused.value.pointer == "/teacher/model_id"


def test_lists_are_filtered_by_name_tags_teacher_and_data_set(harness: RegistryHarness) -> None:
    dataset = harness.add_ready_dataset()
    teacher = publish_model(harness, name="teacher", dataset={"id": dataset})
    student = publish_model(harness, name="student", teacher={"model_id": teacher.id})
    harness.run(
        lambda session: model_versions.update_model(
            session, session.get_one(Model, student.id), actor="k", tags=["b", "a", "a"]
        )
    )
    harness.run(
        lambda session: model_versions.update_model(
            session, session.get_one(Model, teacher.id), actor="k", tags=["a"], notes="big"
        )
    )

    def list_names(**filters: Any) -> list[str]:
        with harness.database.read() as session:
            return [
                model.name
                for model in model_versions.list_page(
                    session, model_versions.ModelFilters(**filters)
                ).items
            ]

    assert list_names() == ["student", "teacher"]
    assert list_names(name="teacher") == ["teacher"]
    assert list_names(tags=("a",)) == ["student", "teacher"]
    assert list_names(tags=("a", "b")) == ["student"]
    assert list_names(teacher=teacher.id) == ["student"]
    assert list_names(dataset=dataset) == ["teacher"]
    assert list_names(search="TEACH") == ["teacher"]
    assert list_names(search="e") == ["student", "teacher"]
    assert list_names(search="_") == []
    assert list_names(architecture=student.architecture) == ["student", "teacher"]
    assert list_names(architecture="resnet14") == []
    assert list_names(owner="key_other") == []
    with harness.database.read() as session:
        assert model_versions.tags_by_model(session, [student.id, teacher.id]) == {
            student.id: ["a", "b"],
            teacher.id: ["a"],
        }
        assert session.get_one(Model, teacher.id).notes == "big"
