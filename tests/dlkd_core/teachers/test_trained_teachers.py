"""Tests that teachers trained by other projects reach their published accuracy."""

from pathlib import Path

import pytest
import torch

from dlkd_core.data import ImageDataset, open_dataset
from dlkd_core.evaluation import predict
from dlkd_core.evaluation.accuracy import score_logits
from dlkd_core.spec import TeacherFile
from dlkd_core.teachers.loading import load_teacher_file
from dlkd_core.teachers.normalization import COMMON_NORMALIZATIONS
from dlkd_core.teachers.verification import map_logits
from dlkd_core.teachers.verified_teacher import load_teacher

CPU = torch.device("cpu")
# ImageNet class indices of the ten Imagenette classes
IMAGENETTE = (0, 217, 482, 491, 497, 566, 569, 571, 574, 701)


@pytest.fixture(scope="module")
def cifar10(shared_data: Path) -> ImageDataset:
    return open_dataset(shared_data / "cifar10_subset_png.zip")


@pytest.mark.parametrize(
    ("file", "architecture", "parameters", "top1"),
    [
        ("cifar10_resnet20-12fca82f.th", "resnet20", 269_722, 0.926),
        ("cifar10_resnet56-4bfd9763.th", "resnet56", 853_018, 0.931),
    ],
)
def test_a_cifar_teacher_reaches_its_published_accuracy_under_the_chosen_normalization(
    shared_data: Path,
    cifar10: ImageDataset,
    file: str,
    architecture: str,
    parameters: int,
    top1: float,
) -> None:
    teacher = load_teacher(TeacherFile(path=shared_data / "teachers" / file), cifar10, CPU)
    loaded = teacher.loaded
    assert (loaded.architecture, loaded.options, loaded.num_classes) == (
        architecture,
        {"shortcut": "pad"},
        10,
    )
    assert loaded.parameters == parameters
    # the teacher was trained with ImageNet's normalization, not with CIFAR statistics
    assert teacher.verification.normalization == COMMON_NORMALIZATIONS["imagenet"]
    # rounding differs between processors and may change one prediction in a thousand
    assert teacher.verification.scores.top1 == pytest.approx(top1, abs=1e-3)


def test_squeezenet_is_recognized_and_separates_ten_of_its_thousand_classes(
    shared_data: Path,
) -> None:
    loaded = load_teacher_file(shared_data / "teachers" / "imagenet_squeezenet1_0.pth")
    assert (loaded.architecture, loaded.num_classes, loaded.parameters) == (
        "squeezenet1_0",
        1000,
        1_248_424,
    )
    data = open_dataset(shared_data / "imagenette_subset.zip")
    extractor = loaded.source.build_extractor(COMMON_NORMALIZATIONS["imagenet"], CPU)
    logits = predict(extractor.logits, data.val.images)
    imagenet_labels = torch.tensor(IMAGENETTE)[data.val.labels]
    assert score_logits(logits, imagenet_labels).top1 == pytest.approx(0.590, abs=2e-3)
    mapped = map_logits(logits, data.classes, IMAGENETTE)
    assert score_logits(mapped, data.val.labels).top1 == pytest.approx(0.970, abs=2e-3)
