"""What a spec and its images say of each other before anything is trained."""

from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from dlkd_core.catalog import METHODS
from dlkd_core.catalog.terms import TERMS
from dlkd_core.data import Packed, Split
from dlkd_core.errors import SpecError
from dlkd_core.fits import check
from dlkd_core.spec import DistillationSpec, JobSpec


def spec(**parts: Any) -> DistillationSpec:
    base = {"student": {"architecture": "resnet8"}, "dataset": {"path": Path("set.zip")}, "teacher": {"path": Path("a.pt")}}
    return DistillationSpec.model_validate({**base, **parts})


def images(label: int = -1, size: tuple[int, int] = (8, 8)) -> Packed:
    split = Split(torch.zeros(4, 3, *size, dtype=torch.uint8), torch.full((4,), label))
    return Packed(split, Split(split.images, torch.tensor([0, 1, 0, 1])), ("a", "b"))


@pytest.mark.parametrize("method", sorted(set(METHODS) - {"plain"}))
def test_methods_that_learn_from_labels_are_refused_without_them_and_the_others_named(method: str) -> None:
    asked = spec(method={"name": method})
    check(asked, images(label=1))
    if method in {"seed", "compress"}:
        check(asked, images())
        return
    with pytest.raises(SpecError, match=rf"The method {method} learns from labels \(.*\), and the training images") as caught:
        check(asked, images())
    assert caught.value.pointer == "/method"
    assert "seed and compress" in caught.value.hint


@pytest.mark.parametrize("term", sorted(TERMS))
def test_of_all_terms_four_learn_from_labels(term: str) -> None:
    asked = spec(method={"name": "combine", "terms": [{"name": term}]})
    if term not in {"labels", "supcon", "dkd", "crd"}:
        check(asked, images())
        return
    with pytest.raises(SpecError, match=rf"\({term}\)"):
        check(asked, images())


@pytest.mark.parametrize(("size", "words"), [((62, 80), "at least 63 pixels; these have 62"), ((63, 63), None)])
def test_a_network_for_larger_images_is_refused(size: tuple[int, int], words: str | None) -> None:
    asked = spec(student={"architecture": "alexnet"})
    if words is None:
        check(asked, images(label=1, size=size))
        return
    with pytest.raises(SpecError, match=words) as caught:
        check(asked, images(label=1, size=size))
    assert caught.value.pointer == "/student/architecture"


@pytest.mark.parametrize("kind", [JobSpec, DistillationSpec])
def test_an_image_size_that_the_student_does_not_take_is_refused_in_the_spec(kind: type[JobSpec | DistillationSpec]) -> None:
    place = {"id": "dataset_1"} if kind is JobSpec else {"path": "set.zip"}
    given = {"student": {"architecture": "alexnet"}, "dataset": {**place, "image_size": 62}}
    with pytest.raises(ValidationError, match="alexnet takes images of at least 63 pixels; these have 62") as caught:
        kind.model_validate(given)
    assert caught.value.errors()[0]["ctx"]["pointer"] == "/dataset/image_size"
    assert kind.model_validate({**given, "dataset": {**place, "image_size": 63}}).dataset.image_size == 63
