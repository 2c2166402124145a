"""A teacher at work on a data set."""

from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
import torch

from dlkd_core.data import Packed, open_dataset
from dlkd_core.errors import ClassesDoNotFit, TeacherAtChance
from dlkd_core.models import Tapped
from dlkd_core.spec import Normalization, TeacherFile
from dlkd_core.teachers.load import NetworkSource
from dlkd_core.teachers.onnx_teacher import OnnxSource
from dlkd_core.teachers.taught import NOBODY, Taught, bring

from .checkpoints import network, saved

CPU = torch.device("cpu")
OWN = Normalization(mean=(0.1, 0.2, 0.3), std=(0.5, 0.6, 0.7))
CLASS_MAP = (4, 0, 2)  # of the teacher's five classes


@pytest.fixture(scope="module")
def data(stripes: Path) -> Packed:
    return open_dataset(stripes)


@pytest.fixture(scope="module")
def teacher(data: Packed, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random features, and a classifier fitted to the evaluation images by least squares, under OWN."""
    drawn = network("resnet8", 5)
    with torch.no_grad():
        features = Tapped(drawn, OWN.mean, OWN.std).eval()(data.val.images.float() / 255).features
        wanted = torch.nn.functional.one_hot(torch.tensor(CLASS_MAP)[data.val.labels], 5).float()
        classifier = drawn.module.get_submodule("fc")
        solution = torch.linalg.lstsq(torch.cat([features, torch.ones(len(features), 1)], dim=1), wanted, driver="gelsd").solution
        classifier.load_state_dict({"weight": solution[:-1].T.contiguous(), "bias": solution[-1]})
    return saved(tmp_path_factory.mktemp("teacher") / "five.pth", drawn.module.state_dict())


@pytest.fixture(scope="module")
def taught(teacher: Path, data: Packed) -> Taught:
    return bring(TeacherFile(path=teacher, normalization=OWN, class_map=CLASS_MAP), data, CPU)


def test_it_is_what_its_file_says_and_has_proved_itself(taught: Taught, teacher: Path) -> None:
    assert (taught.loaded.architecture, taught.loaded.num_classes) == ("resnet8", 5)
    assert taught.proof.normalization == OWN
    assert taught.proof.scores.top1 > 0.9
    assert taught.sha256 == sha256(teacher.read_bytes()).hexdigest()


def test_it_shows_its_logits_over_the_data_sets_classes_and_its_features_as_they_are(taught: Taught, data: Packed) -> None:
    images = data.val.images[:7].float() / 255
    shown, whole = taught(images), taught.tapped(images)
    assert shown.logits.shape == (7, 3)
    assert torch.equal(shown.logits, whole.logits[:, list(CLASS_MAP)])
    assert torch.equal(shown.features, whole.features)
    assert len(shown.maps) == 3


def test_its_own_classifier_makes_of_its_features_what_it_shows_and_passes_gradients_to_them_alone(
    taught: Taught, data: Packed
) -> None:
    shown, classify = taught(data.val.images[:7].float() / 255), taught.classify
    assert classify is not None
    features = shown.features.clone().requires_grad_()
    logits = classify(features)
    torch.testing.assert_close(logits.detach(), shown.logits)
    logits.sum().backward()
    assert features.grad is not None
    assert features.grad.any()
    assert isinstance(taught.tapped, Tapped)
    assert all(weight.grad is None for weight in taught.tapped.parameters())


def test_a_classifier_that_is_no_linear_layer_is_not_shown(taught: Taught) -> None:
    convolution = NetworkSource(network("squeezenet1_1", 5))
    graph = OnnxSource(None)  # type: ignore[arg-type]  # never run
    for source in (convolution, graph):
        assert replace(taught, loaded=replace(taught.loaded, source=source)).classify is None


def test_it_learns_nothing_and_an_image_counts_for_itself_alone(taught: Taught, data: Packed) -> None:
    images = data.train.images[:8].float() / 255
    shown = taught(images)
    assert not any(tensor.requires_grad for tensor in (shown.logits, shown.features, *shown.maps))
    torch.testing.assert_close(taught(images[:2]).logits, shown.logits[:2])


def test_without_its_map_it_does_not_fit_and_with_a_wrong_one_it_guesses(teacher: Path, data: Packed) -> None:
    with pytest.raises(ClassesDoNotFit, match="The teacher has 5 classes and the data set 3"):
        bring(TeacherFile(path=teacher), data, CPU)
    with pytest.raises(TeacherAtChance, match=r"class_map \[4, 0, 2\]|guessing among 3 classes"):
        bring(TeacherFile(path=teacher, normalization=OWN, class_map=(0, 2, 4)), data, CPU)


def test_nobody_shows_nothing() -> None:
    assert NOBODY.logits.numel() == NOBODY.features.numel() == len(NOBODY.maps) == 0
