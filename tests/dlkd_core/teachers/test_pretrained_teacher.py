"""Tests for teachers with pretrained weights, loaded from a cache that holds small networks."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from dlkd_core import events
from dlkd_core.data import ImageDataset, ReadOptions, open_dataset
from dlkd_core.errors import ClassesDoNotFit, ImagesDoNotFit, LogitsNeeded, WeightsUnavailable
from dlkd_core.pipeline import run
from dlkd_core.spec import DistillationSpec, TeacherFile
from dlkd_core.teachers.verified_teacher import load_teacher
from tests.dlkd_core.weight_caches import (
    CLASS_MAP,
    TIMM,
    TORCHVISION,
    disable_network,
    fill_hf_cache,
    fill_torch_cache,
    train_cached_model,
)

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def data(stripes: Path) -> ImageDataset:
    return open_dataset(stripes)


@pytest.fixture(scope="module")
def weights(stripes: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tensor]:
    return train_cached_model(stripes, tmp_path_factory.mktemp("weights"))


@pytest.fixture(autouse=True)
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, weights: dict[str, Tensor]) -> Path:
    """Fill the Hugging Face cache, disable network access and return the cache folder."""
    disable_network(tmp_path, monkeypatch)
    fill_hf_cache(tmp_path, weights)
    return tmp_path


def test_with_other_classes_than_the_data_set_only_the_features_are_used(
    data: ImageDataset,
) -> None:
    teacher = load_teacher(TeacherFile(pretrained=TIMM), data, CPU)
    loaded = teacher.loaded
    assert (loaded.architecture, loaded.num_classes, loaded.format) == (TIMM, 0, "pretrained")
    assert loaded.parameters == 372_688
    assert "has 1000 classes, but the dataset has 3" in loaded.notices[0]
    assert next(iter(teacher.verification.normalization_scores)) == "weights"
    assert teacher.verification.knn_top1 is not None
    assert teacher.verification.knn_top1 > 0.8
    assert teacher(data.val.images[:2].float() / 255).logits.shape == (2, 0)
    assert teacher.classifier is None


def test_a_pretrained_backbone_has_features_only_and_no_classes_to_map(
    stripes: Path, caches: Path
) -> None:
    name = "timm/vit_tiny_patch16_dinov3_qkvb"
    fill_hf_cache(caches, name=name)
    data = open_dataset(stripes, ReadOptions(image_size=16))
    teacher = load_teacher(TeacherFile(pretrained=name), data, CPU)
    assert (teacher.loaded.num_classes, teacher.loaded.parameters) == (0, 5_489_664)
    assert "has no classifier" in teacher.loaded.notices[0]
    assert teacher(data.val.images[:2].float() / 255).logits.shape == (2, 0)
    with pytest.raises(ClassesDoNotFit, match="has no classifier"):
        load_teacher(TeacherFile(pretrained=name, class_map=(0, 1, 2)), data, CPU)


def test_a_class_map_uses_the_pretrained_classifier(data: ImageDataset) -> None:
    teacher = load_teacher(TeacherFile(pretrained=TIMM, class_map=CLASS_MAP), data, CPU)
    assert (teacher.loaded.num_classes, teacher.loaded.notices) == (1000, ())
    assert teacher.verification.scores is not None
    assert teacher.verification.scores.top1 > 0.8
    assert teacher.classifier is not None


def test_the_digest_depends_on_the_weights(
    data: ImageDataset, caches: Path, weights: dict[str, Tensor]
) -> None:
    first, again = (load_teacher(TeacherFile(pretrained=TIMM), data, CPU).sha256 for _ in range(2))
    assert first == again
    (file,) = (caches / "hf").rglob("model.safetensors")
    file.unlink()
    (caches / "other").mkdir()
    fill_hf_cache(caches / "other", {**weights, "fc.bias": weights["fc.bias"] + 1})
    file.write_bytes(next((caches / "other").rglob("model.safetensors")).read_bytes())
    assert load_teacher(TeacherFile(pretrained=TIMM), data, CPU).sha256 != first


def make_spec(stripes: Path, **changes: Any) -> DistillationSpec:
    training = {"epochs": 2, "batch_size": 16, "flip": False}
    base = {
        "student": {"architecture": "resnet8"},
        "dataset": {"path": stripes},
        "export": ["safetensors"],
        "training": training,
    }
    return DistillationSpec.model_validate({**base, "teacher": {"pretrained": TIMM}, **changes})


def test_a_run_with_a_pretrained_teacher(stripes: Path, tmp_path: Path) -> None:
    *earlier, last = run(make_spec(stripes), tmp_path)
    assert isinstance(last, events.RunFinished)
    assert last.report["metrics"]["teacher"]["architecture"] == TIMM
    assert last.report["lineage"]["teacher_sha256"]
    assert any(
        isinstance(event, events.Notice) and "class_map" in event.message for event in earlier
    )


def test_a_method_on_logits_needs_a_class_map(stripes: Path, tmp_path: Path) -> None:
    with pytest.raises(LogitsNeeded):
        list(run(make_spec(stripes, method={"name": "kd"}), tmp_path))
    mapped = {"pretrained": TIMM, "class_map": CLASS_MAP}
    *_, last = run(make_spec(stripes, method={"name": "kd"}, teacher=mapped), tmp_path)
    assert isinstance(last, events.RunFinished)
    assert last.report["metrics"]["teacher"]["top1"] > 0.8


def test_a_pretrained_student_starts_far_better_than_a_random_one(
    stripes: Path, tmp_path: Path
) -> None:
    training = {"epochs": 1, "batch_size": 16, "learning_rate": 0.01, "flip": False}
    top1 = {}
    for pretrained in (True, False):
        student = {"architecture": TIMM, "pretrained": pretrained}
        *_, last = run(
            make_spec(stripes, teacher=None, student=student, training=training),
            tmp_path / str(pretrained),
        )
        assert isinstance(last, events.RunFinished)
        top1[pretrained] = last.report["metrics"]["student"]["top1"]
    assert top1[True] > top1[False] + 0.2


def test_missing_weights_are_reported_with_the_field_that_names_them(
    stripes: Path, tmp_path: Path
) -> None:
    with pytest.raises(WeightsUnavailable) as caught:
        list(run(make_spec(stripes, teacher={"pretrained": TORCHVISION}), tmp_path))
    assert caught.value.pointer == "/teacher/pretrained"
    with pytest.raises(WeightsUnavailable) as caught:
        list(
            run(
                make_spec(
                    stripes, teacher=None, student={"architecture": TORCHVISION, "pretrained": True}
                ),
                tmp_path,
            )
        )
    assert caught.value.pointer == "/student/pretrained"


def test_images_below_the_minimum_size_are_refused_before_verification(
    data: ImageDataset, tmp_path: Path
) -> None:
    fill_torch_cache(tmp_path, "squeezenet1_1")
    with pytest.raises(
        ImagesDoNotFit, match="squeezenet1_1 needs images of at least 17 pixels, but these have 8"
    ):
        load_teacher(TeacherFile(pretrained="squeezenet1_1"), data, CPU)
