"""Teachers whose weights are published, from a cache that is filled here."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from dlkd_core import events
from dlkd_core.data import Packed, Reading, open_dataset
from dlkd_core.errors import ClassesDoNotFit, ImagesDoNotFit, LogitsNeeded, WeightsUnavailable
from dlkd_core.pipeline import run
from dlkd_core.spec import DistillationSpec, TeacherFile
from dlkd_core.teachers.taught import bring
from tests.dlkd_core.hubs import CLASS_MAP, TIMM, TORCHVISION, cut_off, fill_hub, fill_torch, train

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def data(stripes: Path) -> Packed:
    return open_dataset(stripes)


@pytest.fixture(scope="module")
def weights(stripes: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tensor]:
    return train(stripes, tmp_path_factory.mktemp("weights"))


@pytest.fixture(autouse=True)
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, weights: dict[str, Tensor]) -> Path:
    """A hub that has the weights, and no network."""
    cut_off(tmp_path, monkeypatch)
    fill_hub(tmp_path, weights)
    return tmp_path


def test_other_classes_than_the_datas_leave_the_features(data: Packed) -> None:
    taught = bring(TeacherFile(pretrained=TIMM), data, CPU)
    loaded = taught.loaded
    assert (loaded.architecture, loaded.num_classes, loaded.format) == (TIMM, 0, "pretrained")
    assert loaded.parameters == 372_688
    assert "tells 1000 classes apart and the data set has 3" in loaded.notices[0]
    assert next(iter(taught.proof.tried)) == "weights"
    assert taught.proof.knn_top1 is not None
    assert taught.proof.knn_top1 > 0.8
    assert taught(data.val.images[:2].float() / 255).logits.shape == (2, 0)
    assert taught.classify is None


def test_a_published_backbone_teaches_by_its_features_and_has_no_classes_to_map(stripes: Path, caches: Path) -> None:
    name = "timm/vit_tiny_patch16_dinov3_qkvb"
    fill_hub(caches, name=name)
    data = open_dataset(stripes, Reading(size=16))
    taught = bring(TeacherFile(pretrained=name), data, CPU)
    assert (taught.loaded.num_classes, taught.loaded.parameters) == (0, 5_489_664)
    assert "has no classifier" in taught.loaded.notices[0]
    assert taught(data.val.images[:2].float() / 255).logits.shape == (2, 0)
    with pytest.raises(ClassesDoNotFit, match="it has none"):
        bring(TeacherFile(pretrained=name, class_map=(0, 1, 2)), data, CPU)


def test_a_class_map_uses_the_published_classifier(data: Packed) -> None:
    taught = bring(TeacherFile(pretrained=TIMM, class_map=CLASS_MAP), data, CPU)
    assert (taught.loaded.num_classes, taught.loaded.notices) == (1000, ())
    assert taught.proof.scores is not None
    assert taught.proof.scores.top1 > 0.8
    assert taught.classify is not None


def test_its_digest_is_that_of_its_weights(data: Packed, caches: Path, weights: dict[str, Tensor]) -> None:
    first, again = (bring(TeacherFile(pretrained=TIMM), data, CPU).sha256 for _ in range(2))
    assert first == again
    (file,) = (caches / "hf").rglob("model.safetensors")
    file.unlink()
    (caches / "other").mkdir()
    fill_hub(caches / "other", {**weights, "fc.bias": weights["fc.bias"] + 1})
    file.write_bytes(next((caches / "other").rglob("model.safetensors")).read_bytes())
    assert bring(TeacherFile(pretrained=TIMM), data, CPU).sha256 != first


def spec(stripes: Path, **parts: Any) -> DistillationSpec:
    training = {"epochs": 2, "batch_size": 16, "flip": False}
    base = {"student": {"architecture": "resnet8"}, "dataset": {"path": stripes}, "export": ["safetensors"], "training": training}
    return DistillationSpec.model_validate({**base, "teacher": {"pretrained": TIMM}, **parts})


def test_a_run_learns_from_it(stripes: Path, tmp_path: Path) -> None:
    *seen, last = run(spec(stripes), tmp_path)
    assert isinstance(last, events.Finished)
    assert last.report["metrics"]["teacher"]["architecture"] == TIMM
    assert last.report["lineage"]["teacher_sha256"]
    assert any(isinstance(event, events.Noticed) and "class_map" in event.message for event in seen)


def test_a_method_of_logits_is_told_to_give_a_class_map_or_to_be_another(stripes: Path, tmp_path: Path) -> None:
    with pytest.raises(LogitsNeeded):
        list(run(spec(stripes, method={"name": "kd"}), tmp_path))
    mapped = {"pretrained": TIMM, "class_map": CLASS_MAP}
    *_, last = run(spec(stripes, method={"name": "kd"}, teacher=mapped), tmp_path)
    assert isinstance(last, events.Finished)
    assert last.report["metrics"]["teacher"]["top1"] > 0.8


def test_a_pretrained_student_begins_far_better_than_a_drawn_one(stripes: Path, tmp_path: Path) -> None:
    training = {"epochs": 1, "batch_size": 16, "learning_rate": 0.01, "flip": False}
    found = {}
    for pretrained in (True, False):
        student = {"architecture": TIMM, "pretrained": pretrained}
        *_, last = run(spec(stripes, teacher=None, student=student, training=training), tmp_path / str(pretrained))
        assert isinstance(last, events.Finished)
        found[pretrained] = last.report["metrics"]["student"]["top1"]
    assert found[True] > found[False] + 0.2


def test_without_the_weights_the_job_ends_with_what_to_do(stripes: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsUnavailable) as caught:
        list(run(spec(stripes, teacher={"pretrained": TORCHVISION}), tmp_path))
    assert caught.value.pointer == "/teacher/pretrained"
    with pytest.raises(WeightsUnavailable) as caught:
        list(run(spec(stripes, teacher=None, student={"architecture": TORCHVISION, "pretrained": True}), tmp_path))
    assert caught.value.pointer == "/student/pretrained"


def test_images_that_it_does_not_take_are_told_before_it_is_tried(data: Packed, tmp_path: Path) -> None:
    fill_torch(tmp_path, "squeezenet1_1")
    with pytest.raises(ImagesDoNotFit, match="squeezenet1_1 takes images of at least 17 pixels; these have 8"):
        bring(TeacherFile(pretrained="squeezenet1_1"), data, CPU)
