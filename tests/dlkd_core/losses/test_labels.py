"""Cross-entropy with the labels."""

import math

import pytest
import torch

from dlkd_core.catalog.terms import Labels
from tests.dlkd_core.losses.conftest import Build, Make, targets


def test_uniform_logits_cost_the_logarithm_of_the_classes(make: Make, build: Build) -> None:
    outputs = make(8)._replace(logits=torch.zeros(8, 10))
    assert build(Labels())(outputs, None, targets(torch.tensor([3, 7]))).item() == pytest.approx(math.log(10))


def test_rotated_views_do_not_count(make: Make, build: Build) -> None:
    outputs, labels = make(8), targets(torch.tensor([3, 7]))
    disturbed = outputs.logits.clone()
    disturbed[[1, 2, 3, 5, 6, 7]] += 9 * torch.eye(10)[0]
    term = build(Labels())
    assert torch.equal(term(outputs, None, labels), term(outputs._replace(logits=disturbed), None, labels))


def test_rows_that_are_no_whole_images_are_an_error(make: Make, build: Build) -> None:
    with pytest.raises(ValueError, match="7 rows are not a whole number of images of 4 views"):
        build(Labels())(make(7), None, targets(torch.tensor([3])))
