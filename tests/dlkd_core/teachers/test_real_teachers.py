"""Teachers that others have trained, on images that others have packed: the published figures come out."""

from pathlib import Path

import pytest
import torch

from dlkd_core.data import Packed, open_dataset
from dlkd_core.evaluation import logits_of
from dlkd_core.evaluation.accuracy import score_logits
from dlkd_core.spec import TeacherFile
from dlkd_core.teachers.load import load_teacher
from dlkd_core.teachers.proof import USUAL, mapped
from dlkd_core.teachers.taught import bring

CPU = torch.device("cpu")
IMAGENETTE = (0, 217, 482, 491, 497, 566, 569, 571, 574, 701)  # ImageNet's numbers of its ten classes


@pytest.fixture(scope="module")
def cifar10(shared_data: Path) -> Packed:
    return open_dataset(shared_data / "cifar10_subset_png.zip")


@pytest.mark.parametrize(
    ("file", "architecture", "parameters", "top1"),
    [
        ("cifar10_resnet20-12fca82f.th", "resnet20", 269_722, 0.926),
        ("cifar10_resnet56-4bfd9763.th", "resnet56", 853_018, 0.931),
    ],
)
def test_a_cifar_teacher_is_recognised_and_reaches_its_figure_under_the_normalisation_that_is_found(
    shared_data: Path, cifar10: Packed, file: str, architecture: str, parameters: int, top1: float
) -> None:
    taught = bring(TeacherFile(path=shared_data / "teachers" / file), cifar10, CPU)
    loaded = taught.loaded
    assert (loaded.architecture, loaded.options, loaded.num_classes) == (architecture, {"shortcut": "pad"}, 10)
    assert loaded.parameters == parameters
    assert taught.proof.normalization == USUAL["imagenet"]  # that of its training script, not CIFAR's
    assert taught.proof.scores.top1 == pytest.approx(top1, abs=1e-3)  # one image in a thousand, for another processor's rounding


def test_squeezenet_is_recognised_and_tells_ten_of_its_thousand_classes_apart(shared_data: Path) -> None:
    loaded = load_teacher(shared_data / "teachers" / "imagenet_squeezenet1_0.pth")
    assert (loaded.architecture, loaded.num_classes, loaded.parameters) == ("squeezenet1_0", 1000, 1_248_424)
    data = open_dataset(shared_data / "imagenette_subset.zip")
    tapped = loaded.source.tapped(USUAL["imagenet"], CPU)
    logits = logits_of(tapped.logits, data.val.images)
    own = torch.tensor(IMAGENETTE)[data.val.labels]
    assert score_logits(logits, own).top1 == pytest.approx(0.590, abs=2e-3)  # among the thousand
    assert score_logits(mapped(logits, data.classes, IMAGENETTE), data.val.labels).top1 == pytest.approx(0.970, abs=2e-3)
