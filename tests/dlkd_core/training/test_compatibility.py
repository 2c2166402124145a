"""Tests for checking that a spec, a dataset and a teacher fit together."""

from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from dlkd_core.catalog import METHODS
from dlkd_core.catalog.loss_params import TERMS
from dlkd_core.data import DatasetSplit, ImageDataset
from dlkd_core.errors import SpecError
from dlkd_core.spec import DistillationSpec, JobSpec
from dlkd_core.training.compatibility import check_dataset


def make_spec(**parts: Any) -> DistillationSpec:
    base = {
        "student": {"architecture": "resnet8"},
        "dataset": {"path": Path("set.zip")},
        "teacher": {"path": Path("a.pt")},
    }
    return DistillationSpec.model_validate({**base, **parts})


def make_dataset(label: int = -1, size: tuple[int, int] = (8, 8)) -> ImageDataset:
    split = DatasetSplit(torch.zeros(4, 3, *size, dtype=torch.uint8), torch.full((4,), label))
    return ImageDataset(split, DatasetSplit(split.images, torch.tensor([0, 1, 0, 1])), ("a", "b"))


@pytest.mark.parametrize("method", sorted(set(METHODS) - {"plain"}))
def test_methods_that_learn_from_labels_are_rejected_without_them_with_alternatives(
    method: str,
) -> None:
    spec = make_spec(method={"name": method})
    check_dataset(spec, make_dataset(label=1))
    if method in {"seed", "compress", "dlkd_auto"}:
        check_dataset(spec, make_dataset())
        return
    with pytest.raises(
        SpecError, match=rf"The method {method} learns from labels \(.*\), but the training images"
    ) as caught:
        check_dataset(spec, make_dataset())
    assert caught.value.pointer == "/method"
    assert "seed" in caught.value.hint


@pytest.mark.parametrize("term", sorted(TERMS))
def test_six_terms_learn_from_labels(term: str) -> None:
    spec = make_spec(method={"name": "combine", "terms": [{"name": term}]})
    if term not in {"labels", "supcon", "dkd", "nkd", "ofa", "crd"}:
        check_dataset(spec, make_dataset())
        return
    with pytest.raises(SpecError, match=rf"\({term}\)"):
        check_dataset(spec, make_dataset())


@pytest.mark.parametrize(
    ("size", "message"), [((62, 80), "at least 63 pixels, but these have 62"), ((63, 63), None)]
)
def test_images_that_are_too_small_for_the_student_are_rejected(
    size: tuple[int, int], message: str | None
) -> None:
    spec = make_spec(student={"architecture": "alexnet"})
    if message is None:
        check_dataset(spec, make_dataset(label=1, size=size))
        return
    with pytest.raises(SpecError, match=message) as caught:
        check_dataset(spec, make_dataset(label=1, size=size))
    assert caught.value.pointer == "/student/architecture"


@pytest.mark.parametrize("kind", [JobSpec, DistillationSpec])
def test_an_image_size_that_the_student_does_not_accept_is_rejected_in_the_spec(
    kind: type[JobSpec | DistillationSpec],
) -> None:
    dataset = {"id": "dataset_1"} if kind is JobSpec else {"path": "set.zip"}
    spec = {"student": {"architecture": "alexnet"}, "dataset": {**dataset, "image_size": 62}}
    with pytest.raises(
        ValidationError, match="alexnet needs images of at least 63 pixels, but these have 62"
    ) as caught:
        kind.model_validate(spec)
    assert caught.value.errors()[0]["ctx"]["pointer"] == "/dataset/image_size"
    valid_spec = {**spec, "dataset": {**dataset, "image_size": 63}}
    assert kind.model_validate(valid_spec).dataset.image_size == 63
