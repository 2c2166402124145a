"""Tests for the student that uses its teacher's classifier."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from dlkd_core.catalog.loss_params import CrossEntropyParams, ReusedClassifierParams
from dlkd_core.catalog.methods import Combine
from dlkd_core.errors import SpecError
from dlkd_core.losses import build_objective
from dlkd_core.losses.reused_classifier import ReusedClassifierLoss
from dlkd_core.models import FeatureExtractor, build_network
from tests.dlkd_core.conftest import MakeSpec
from tests.dlkd_core.losses.conftest import (
    CLASSES,
    TEACHER_WIDTH,
    MakeOutputs,
    make_context,
    make_targets,
)
from tests.dlkd_core.run_helpers import run_to_report, train_stripes_teacher

TERM = {"name": "reused_classifier"}
METHOD = {"name": "combine", "terms": [{"name": "labels"}, TERM]}
TARGETS = make_targets(torch.tensor([0, 1, 0, 2]))


def build_loss(width: int) -> ReusedClassifierLoss:
    """Return the term for students with this feature width."""
    context = make_context(1)
    shapes = replace(context.student_shapes, features=width)
    torch.manual_seed(0)
    return ReusedClassifierLoss(ReusedClassifierParams(), replace(context, student_shapes=shapes))


def test_the_merged_classifier_computes_the_logits_of_the_training() -> None:
    network = build_network("resnet8", CLASSES)
    student = FeatureExtractor(network, (0.5,) * 3, (0.25,) * 3).eval()
    images = torch.rand(4, 3, 32, 32)
    with torch.no_grad():
        features = student(images).features
        loss = build_loss(features.shape[1])
        loss.merge_into(student)
        outputs = student(images)
        expected = loss.make_logits(features)
    torch.testing.assert_close(outputs.logits, expected, rtol=1e-4, atol=1e-5)


def test_the_other_terms_see_the_logits_of_the_reused_classifier(
    make_outputs: MakeOutputs,
) -> None:
    method = Combine(terms=(CrossEntropyParams(), ReusedClassifierParams()))
    objective = build_objective(method, make_context(1))
    student, teacher = make_outputs(4), make_outputs(4, TEACHER_WIDTH, seed=1)
    assert objective.reused_classifier is not None
    logits = objective.reused_classifier.make_logits(student.features)
    _, values = objective(student, teacher, TARGETS)
    expected = nn.functional.cross_entropy(logits, TARGETS.labels)
    assert values["labels"].item() == pytest.approx(expected.item(), rel=1e-5)
    errors = objective.reused_classifier.projector(student.features) - teacher.features
    assert values["reused_classifier"].item() == pytest.approx(
        errors.square().mean().item(), rel=1e-5
    )


def test_a_teacher_without_a_linear_classifier_is_rejected() -> None:
    context = replace(make_context(1), teacher_classifier=None)
    with pytest.raises(SpecError, match="reused_classifier needs the teacher's own linear"):
        ReusedClassifierLoss(ReusedClassifierParams(), context)


def test_a_student_that_classifies_with_a_convolution_is_rejected() -> None:
    network = build_network("squeezenet1_1", CLASSES)
    student = FeatureExtractor(network, (0.5,) * 3, (0.25,) * 3)
    with pytest.raises(SpecError, match="a single linear layer"):
        build_loss(512).merge_into(student)


def test_a_run_exports_the_merged_classifier(
    make_spec: MakeSpec, stripes: Path, tmp_path: Path
) -> None:
    teacher = train_stripes_teacher(stripes, tmp_path / "teacher", "resnet20")
    spec = make_spec(teacher={"path": teacher}, method=METHOD)
    report = run_to_report(spec, tmp_path / "run")
    assert report["metrics"]["student"]["top1"] > 0.8
    weights = load_file(tmp_path / "run" / "student.safetensors")
    # 3 classes from 64 features: the rank is that of the teacher's classifier
    assert weights["fc.weight"].shape == load_file(teacher)["fc.weight"].shape
    assert weights["fc.bias"].abs().max() > 0
