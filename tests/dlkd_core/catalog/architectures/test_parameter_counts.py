"""Tests for the parameter counts that the service knows without building networks."""

import json
from typing import Any

import pytest

from dlkd_core.catalog.architectures.parameter_counts import (
    PARAMETER_COUNTS_FILE,
    get_parameter_count,
)
from dlkd_core.models import parameter_count_index
from dlkd_core.models.meta_network import build_meta_network


def count_built_parameters(name: str, options: dict[str, Any], classes: int) -> int:
    return sum(
        parameter.numel()
        for parameter in build_meta_network(name, classes, options).module.parameters()
    )


@pytest.mark.parametrize(
    "name", [entry.name for entry in parameter_count_index.indexed_architectures()]
)
def test_the_counts_are_those_of_the_built_networks(name: str) -> None:
    count = get_parameter_count(name, {}, 7)
    assert count is not None
    assert count == (count_built_parameters(name, {}, 7), True)


def test_the_file_has_exactly_the_indexed_networks() -> None:
    assert list(json.loads(PARAMETER_COUNTS_FILE.read_text())) == [
        entry.name for entry in parameter_count_index.indexed_architectures()
    ]


@pytest.mark.parametrize("width", [4, 5, 16])
@pytest.mark.parametrize("name", ["resnet8", "resnet56", "resnet8x4"])
def test_counts_of_other_widths_follow_from_the_polynomials(name: str, width: int) -> None:
    count = get_parameter_count(name, {"width": width}, 100)
    assert count is not None
    assert count.total == count_built_parameters(name, {"width": width}, 100)


def test_other_options_have_no_count() -> None:
    assert get_parameter_count("wrn", {"depth": 16}, 10) is None
    assert get_parameter_count("resnet20", {"shortcut": "pad"}, 10) is None
    assert get_parameter_count("resnet20", {"shortcut": "conv"}, 10) == get_parameter_count(
        "resnet20", {}, 10
    )


def test_counts_of_timm_are_without_the_classifier() -> None:
    count = get_parameter_count("timm/resnet18", {}, 10)
    assert count is not None
    assert not count.exact
    assert count.total == count_built_parameters("timm/resnet18", {}, 10) - 513 * 10
