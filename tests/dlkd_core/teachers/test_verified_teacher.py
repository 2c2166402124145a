"""Tests for loading a teacher, verifying it on a dataset and running it."""

from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
import torch

from dlkd_core.data import ImageDataset, open_dataset
from dlkd_core.errors import ClassesDoNotFit, TeacherAtChance
from dlkd_core.models import FeatureExtractor
from dlkd_core.spec import Normalization, TeacherFile
from dlkd_core.teachers.loading import NetworkSource
from dlkd_core.teachers.onnx.onnx_teacher import OnnxSource
from dlkd_core.teachers.verified_teacher import VerifiedTeacher, load_teacher
from tests.dlkd_core.teachers.sample_checkpoints import random_network, save_torch

CPU = torch.device("cpu")
OWN = Normalization(mean=(0.1, 0.2, 0.3), std=(0.5, 0.6, 0.7))
CLASS_MAP = (4, 0, 2)  # for each class of the dataset, one of the teacher's five classes


@pytest.fixture(scope="module")
def data(stripes: Path) -> ImageDataset:
    return open_dataset(stripes)


@pytest.fixture(scope="module")
def teacher(data: ImageDataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Save a teacher and return its path.

    The network has random weights, except for the classifier, which is fitted to the evaluation
    images. The images are normalized with `OWN`.
    """
    network = random_network("resnet8", 5)
    with torch.no_grad():
        features = (
            FeatureExtractor(network, OWN.mean, OWN.std)
            .eval()(data.val.images.float() / 255)
            .features
        )
        one_hot = torch.nn.functional.one_hot(torch.tensor(CLASS_MAP)[data.val.labels], 5).float()
        classifier = network.module.get_submodule("fc")
        solution = torch.linalg.lstsq(
            torch.cat([features, torch.ones(len(features), 1)], dim=1), one_hot, driver="gelsd"
        ).solution
        classifier.load_state_dict({"weight": solution[:-1].T.contiguous(), "bias": solution[-1]})
    return save_torch(tmp_path_factory.mktemp("teacher") / "five.pth", network.module.state_dict())


@pytest.fixture(scope="module")
def verified_teacher(teacher: Path, data: ImageDataset) -> VerifiedTeacher:
    return load_teacher(
        TeacherFile(path=teacher, normalization=OWN, class_map=CLASS_MAP), data, CPU
    )


def test_a_loaded_teacher_is_recognized_and_verified(
    verified_teacher: VerifiedTeacher, teacher: Path
) -> None:
    assert (verified_teacher.loaded.architecture, verified_teacher.loaded.num_classes) == (
        "resnet8",
        5,
    )
    assert verified_teacher.verification.normalization == OWN
    assert verified_teacher.verification.scores.top1 > 0.9
    assert verified_teacher.sha256 == sha256(teacher.read_bytes()).hexdigest()


def test_logits_are_mapped_to_the_data_sets_classes_and_features_are_unchanged(
    verified_teacher: VerifiedTeacher, data: ImageDataset
) -> None:
    images = data.val.images[:7].float() / 255
    outputs, unmapped = verified_teacher(images), verified_teacher.extractor(images)
    assert outputs.logits.shape == (7, 3)
    assert torch.equal(outputs.logits, unmapped.logits[:, list(CLASS_MAP)])
    assert torch.equal(outputs.features, unmapped.features)
    assert len(outputs.feature_maps) == 3


def test_the_classifier_reproduces_the_logits_and_passes_gradients_to_the_features_only(
    verified_teacher: VerifiedTeacher, data: ImageDataset
) -> None:
    outputs = verified_teacher(data.val.images[:7].float() / 255)
    classify = verified_teacher.classifier
    assert classify is not None
    features = outputs.features.clone().requires_grad_()
    logits = classify(features)
    torch.testing.assert_close(logits.detach(), outputs.logits)
    logits.sum().backward()
    assert features.grad is not None
    assert features.grad.any()
    assert isinstance(verified_teacher.extractor, FeatureExtractor)
    assert all(weight.grad is None for weight in verified_teacher.extractor.parameters())


def test_a_teacher_whose_classifier_is_not_linear_has_none(
    verified_teacher: VerifiedTeacher,
) -> None:
    convolution = NetworkSource(random_network("squeezenet1_1", 5))
    graph = OnnxSource(None)  # type: ignore[arg-type]  # the graph is never run
    for source in (convolution, graph):
        assert (
            replace(
                verified_teacher, loaded=replace(verified_teacher.loaded, source=source)
            ).classifier
            is None
        )


def test_outputs_need_no_gradient_and_do_not_depend_on_the_batch(
    verified_teacher: VerifiedTeacher, data: ImageDataset
) -> None:
    images = data.train.images[:8].float() / 255
    outputs = verified_teacher(images)
    assert not any(
        tensor.requires_grad for tensor in (outputs.logits, outputs.features, *outputs.feature_maps)
    )
    torch.testing.assert_close(verified_teacher(images[:2]).logits, outputs.logits[:2])


def test_without_a_class_map_it_is_refused_and_with_a_wrong_one_it_is_at_chance(
    teacher: Path, data: ImageDataset
) -> None:
    with pytest.raises(ClassesDoNotFit, match="The teacher has 5 classes, but the dataset has 3"):
        load_teacher(TeacherFile(path=teacher), data, CPU)
    with pytest.raises(TeacherAtChance, match=r"class_map \[4, 0, 2\]|guessing among 3 classes"):
        load_teacher(TeacherFile(path=teacher, normalization=OWN, class_map=(0, 2, 4)), data, CPU)
