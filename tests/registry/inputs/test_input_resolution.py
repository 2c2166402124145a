"""Resolution of a job's inputs, and the errors for unsuitable inputs."""

from dataclasses import replace
from typing import Any

import pytest

from registry.access.permissions import Role
from registry.errors import UnprocessableRequest
from registry.jobs import submission
from registry.jobs.job_request import JobRequest
from tests.registry.conftest import RegistryHarness


def transfer_protocol(dataset_id: str) -> dict[str, Any]:
    return {"name": "transfer", "dataset": {"id": dataset_id}}


def test_a_job_with_a_transfer_data_set_waits_for_its_check(
    harness: RegistryHarness,
) -> None:
    own = harness.add_ready_dataset()
    other = harness.upload_dataset()
    job_id = harness.submit(
        dataset={"id": own}, evaluation=[{"name": "knn"}, transfer_protocol(other)]
    )
    assert harness.get_job(job_id).status == "validating"
    harness.pass_check()
    harness.run(submission.promote)
    job = harness.get_job(job_id)
    assert (job.status, set(job.inputs)) == ("queued", {"teacher", "dataset", "evaluation/1"})
    assert job.inputs["evaluation/1"]["digest"] not in (None, job.inputs["dataset"]["digest"])


def test_a_transfer_data_set_must_exist_be_visible_and_have_labels(
    harness: RegistryHarness,
) -> None:
    own, unlabeled = harness.add_ready_dataset(), harness.add_ready_dataset(classes=[])
    spec = {"dataset": {"id": own}, "student": {"architecture": "resnet8"}}
    stranger = replace(harness.principal, owner="other", role=Role.SUBMITTER)
    for other, code, pointer in (
        ("dataset_none", "dataset_unknown", "/evaluation/0/dataset/id"),
        (unlabeled, "labels_missing", "/evaluation/0"),
    ):
        with pytest.raises(UnprocessableRequest) as refused:
            harness.submit(**spec, evaluation=[transfer_protocol(other)])
        assert (refused.value.code, refused.value.pointer) == (code, pointer)
    foreign = JobRequest.model_validate({**spec, "evaluation": [transfer_protocol(own)]})
    with pytest.raises(UnprocessableRequest, match="no dataset"):
        harness.run(submission.submit, stranger, foreign)


@pytest.mark.parametrize(
    ("spec", "code", "pointer"),
    [
        ({"dataset": {"id": "dataset_x"}}, "dataset_unknown", "/dataset/id"),
        ({"teacher": {"id": "teacher_x"}}, "teacher_unknown", "/teacher/id"),
        ({"teacher": {"model_id": "model_x"}}, "model_unknown", "/teacher/model_id"),
        ({"student": {"architecture": "alexnet"}}, "image_too_small", "/student/architecture"),
    ],
)
def test_a_job_that_cannot_run_is_refused_with_the_field_at_fault(
    harness: RegistryHarness, spec: dict[str, Any], code: str, pointer: str
) -> None:
    dataset = harness.add_ready_dataset(image={"channels": 3, "height": 8, "width": 8})
    with pytest.raises(UnprocessableRequest) as refused:
        harness.submit(**{"dataset": {"id": dataset}, **spec})
    assert (refused.value.code, refused.value.pointer) == (code, pointer)
    assert refused.value.hint


@pytest.mark.parametrize(
    ("side", "architecture", "code"),
    [
        (None, "vit_b_16", "image_too_small"),
        (96, "alexnet", None),
        (None, "alexnet", "image_too_small"),
    ],
)
def test_the_image_size_of_the_job_is_checked(
    harness: RegistryHarness, side: int | None, architecture: str, code: str | None
) -> None:
    spec = {
        "dataset": {"id": harness.add_ready_dataset(), "image_size": side},
        "student": {"architecture": architecture},
    }
    if code is None:
        assert harness.get_job(harness.submit(**spec)).status == "queued"
        return
    with pytest.raises(UnprocessableRequest) as refused:
        harness.submit(**spec)
    assert (refused.value.code, refused.value.pointer) == (code, "/student/architecture")


def test_images_that_are_too_large_for_an_architecture_are_refused(
    harness: RegistryHarness,
) -> None:
    dataset = harness.add_ready_dataset(image={"channels": 3, "height": 256, "width": 256})
    with pytest.raises(UnprocessableRequest) as refused:
        harness.submit(dataset={"id": dataset}, student={"architecture": "maxvit_t"})
    assert (refused.value.code, refused.value.pointer) == (
        "image_size_unfit",
        "/student/architecture",
    )
    assert "dataset.image_size" in refused.value.hint


@pytest.mark.parametrize(
    ("student", "teacher", "message"),
    [
        ("resnet8", "resnet56", None),
        ("resnet18", "timm/resnet34", None),
        ("vgg8", "resnet56", "vgg8 cannot inherit the weights of resnet56"),
        ("resnet8", "resnet18", "resnet8 cannot inherit the weights of resnet18"),
        ("resnet8", None, "The teacher is an ONNX graph"),
        ("resnet18", "transformers/resnet", "cannot inherit the weights of transformers/resnet"),
    ],
)
def test_a_student_inherits_weights_only_from_a_teacher_of_its_family(
    harness: RegistryHarness, student: str, teacher: str | None, message: str | None
) -> None:
    teacher_id = harness.add_ready_teacher(architecture=teacher)
    spec: dict[str, Any] = {
        "dataset": {"id": harness.add_ready_dataset()},
        "teacher": {"id": teacher_id},
        "method": {"name": "kd"},
    }
    harness.submit(**spec, student={"architecture": student})
    inheriting = {"architecture": student, "init": "teacher"}
    if message is None:
        job = harness.get_job(harness.submit(**spec, student=inheriting))
        assert job.spec["student"]["init"] == "teacher"
        return
    with pytest.raises(UnprocessableRequest, match=message) as refused:
        harness.submit(**spec, student=inheriting)
    assert (refused.value.code, refused.value.pointer) == ("weights_do_not_fit", "/student/init")
    assert "set student.init to random" in refused.value.hint


@pytest.mark.parametrize("options", [{"image_size": 16}, {"resize": "pad"}])
def test_a_job_that_resizes_gets_the_original_archive(
    harness: RegistryHarness, options: dict[str, Any]
) -> None:
    dataset = harness.add_ready_dataset()
    plain, other = (
        harness.get_job(harness.submit(dataset={"id": dataset, **extra})).inputs["dataset"]
        for extra in ({}, options)
    )
    assert plain["filename"] == "packed.safetensors"
    assert other["filename"] != "packed.safetensors"
    assert plain["digest"] != other["digest"]


def test_a_data_set_without_labels_accepts_any_teacher_but_only_methods_without_labels(
    harness: RegistryHarness,
) -> None:
    dataset, teacher = (
        harness.add_ready_dataset(classes=[]),
        harness.add_ready_teacher(num_classes=7),
    )
    spec = {"dataset": {"id": dataset}, "teacher": {"id": teacher}}
    assert (
        harness.get_job(harness.submit(**spec, method={"name": "kd", "labels": 0})).status
        == "queued"
    )
    with pytest.raises(UnprocessableRequest) as refused:
        harness.submit(**spec, method={"name": "kd"})
    assert (refused.value.code, refused.value.pointer) == ("labels_missing", "/method")
    assert "seed, compress" in refused.value.hint


def test_a_baseline_needs_a_data_set_with_labels(harness: RegistryHarness) -> None:
    teacher = harness.add_ready_teacher(num_classes=7)
    unlabeled = {"dataset": {"id": harness.add_ready_dataset(classes=[])}}
    spec = {"teacher": {"id": teacher}, "method": {"name": "kd", "labels": 0}, "baseline": True}
    with pytest.raises(UnprocessableRequest) as refused:
        harness.submit(**spec, **unlabeled)
    assert (refused.value.code, refused.value.pointer) == ("labels_missing", "/baseline")
    labeled = {"dataset": {"id": harness.add_ready_dataset(classes=[str(n) for n in range(7)])}}
    job = harness.get_job(harness.submit(**spec, **labeled))
    assert (job.status, job.spec["baseline"]) == ("queued", True)


def test_standardized_logits_need_three_classes(harness: RegistryHarness) -> None:
    for classes in (2, 3):
        spec = {
            "teacher": {"id": harness.add_ready_teacher(num_classes=classes)},
            "dataset": {"id": harness.add_ready_dataset(classes=[str(n) for n in range(classes)])},
        }
        method = {"name": "dkd", "standardize": True}
        if classes == 3:
            assert harness.get_job(harness.submit(**spec, method=method)).status == "queued"
            continue
        with pytest.raises(UnprocessableRequest, match="at least 3 classes") as refused:
            harness.submit(**spec, method=method)
        assert (refused.value.code, refused.value.pointer) == ("classes_too_few", "/method")
        assert harness.get_job(harness.submit(**spec, method={"name": "dkd"})).status == "queued"


def test_training_images_without_labels_are_refused_even_if_val_has_labels(
    harness: RegistryHarness,
) -> None:
    dataset = harness.add_ready_dataset(class_counts={"train": [0, 0], "val": [2, 2]})
    spec = {"dataset": {"id": dataset}, "student": {"architecture": "resnet8"}}
    with pytest.raises(UnprocessableRequest) as refused:
        harness.submit(**spec)
    assert (refused.value.code, refused.value.pointer) == ("labels_missing", "/method")
    teacher = {"id": harness.add_ready_teacher()}
    with pytest.raises(UnprocessableRequest, match="linear_probe needs"):
        harness.submit(
            **spec, teacher=teacher, method={"name": "seed"}, evaluation=[{"name": "linear_probe"}]
        )
    assert (
        harness.get_job(harness.submit(**spec, teacher=teacher, method={"name": "seed"})).status
        == "queued"
    )


@pytest.mark.parametrize("class_map", [None, [0, 1, 2], [0, 10]])
def test_mismatched_classes_are_refused(
    harness: RegistryHarness, class_map: list[int] | None
) -> None:
    teacher = harness.add_ready_teacher(num_classes=10)
    with pytest.raises(UnprocessableRequest) as refused:
        harness.submit(teacher={"id": teacher, "class_map": class_map})
    assert (refused.value.code, refused.value.pointer) == (
        "classes_do_not_fit",
        "/teacher/class_map",
    )


def test_a_class_map_selects_classes_of_a_larger_teacher(harness: RegistryHarness) -> None:
    teacher = harness.add_ready_teacher(num_classes=10)
    assert (
        harness.get_job(harness.submit(teacher={"id": teacher, "class_map": [3, 9]})).status
        == "queued"
    )


def test_an_architecture_other_than_the_recognized_one_is_refused(harness: RegistryHarness) -> None:
    teacher = harness.add_ready_teacher()
    with pytest.raises(UnprocessableRequest, match="is resnet56, not resnet20") as refused:
        harness.submit(teacher={"id": teacher, "architecture": "resnet20"})
    assert refused.value.pointer == "/teacher/architecture"


def test_a_job_may_choose_among_the_networks_that_a_teacher_fits(harness: RegistryHarness) -> None:
    first, second = "timm/efficientnet_b1", "timm/tf_efficientnet_b1"
    teacher = harness.add_ready_teacher(architecture=first, options={}, alternatives=[second])
    for requested, alternatives in ((None, [second]), (first, None), (second, None)):
        job = harness.get_job(harness.submit(teacher={"id": teacher, "architecture": requested}))
        facts = job.inputs["teacher"]
        assert (facts["architecture"], facts["alternatives"]) == (requested or first, alternatives)
    with pytest.raises(UnprocessableRequest, match=f"is {first}, not timm/efficientnet_b2"):
        harness.submit(teacher={"id": teacher, "architecture": "timm/efficientnet_b2"})


def test_an_invalid_data_set_is_refused(harness: RegistryHarness) -> None:
    dataset = harness.upload_dataset()
    harness.fail_check()
    with pytest.raises(UnprocessableRequest) as refused:
        harness.submit(dataset={"id": dataset})
    assert (refused.value.code, refused.value.hint) == ("dataset_invalid", "Send a zip.")


def test_a_registered_model_is_a_teacher_through_its_safetensors_file(
    harness: RegistryHarness,
) -> None:
    claim = harness.start_job()
    model = harness.finish(claim)
    job = harness.get_job(harness.submit(teacher={"model_id": model}))
    assert job.inputs["teacher"]["architecture"] == "resnet8"
    assert job.inputs["teacher"]["num_classes"] == 2
    assert job.inputs["teacher"]["normalization"]["mean"] == [0.5] * 3


@pytest.mark.parametrize(("options", "is_taken"), [({}, True), ({"image_size": 224}, False)])
def test_a_transformers_teacher_for_one_image_size_refuses_others(
    harness: RegistryHarness, options: dict[str, Any], *, is_taken: bool
) -> None:
    teacher = harness.add_ready_teacher(architecture="transformers/levit", options=options)
    spec = {"dataset": {"id": harness.add_ready_dataset()}, "teacher": {"id": teacher}}
    if is_taken:
        assert harness.get_job(harness.submit(**spec)).status == "queued"
        return
    with pytest.raises(UnprocessableRequest, match="built for images of 224 x 224") as refused:
        harness.submit(**spec)
    assert (refused.value.code, refused.value.pointer) == ("image_size_unfit", "/teacher/id")
