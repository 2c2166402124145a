"""The counts of parameters that the service tells before a network exists."""

import json
from typing import Any

import pytest

from dlkd_core.catalog.sizes import SIZES_FILE, parameters_of
from dlkd_core.models import size_index
from dlkd_core.models.skeleton import skeleton


def made(name: str, options: dict[str, Any], classes: int) -> int:
    return sum(parameter.numel() for parameter in skeleton(name, classes, options).module.parameters())


@pytest.mark.parametrize("name", [entry.name for entry in size_index.counted()])
def test_the_file_says_what_the_networks_have(name: str) -> None:
    counted = parameters_of(name, {}, 7)
    assert counted is not None
    assert counted == (made(name, {}, 7), True)


def test_the_file_names_every_network_and_no_other() -> None:
    assert list(json.loads(SIZES_FILE.read_text())) == [entry.name for entry in size_index.counted()]


@pytest.mark.parametrize("width", [4, 5, 16])
@pytest.mark.parametrize("name", ["resnet8", "resnet56", "resnet8x4"])
def test_widths_that_were_not_counted_follow_from_those_that_were(name: str, width: int) -> None:
    counted = parameters_of(name, {"width": width}, 100)
    assert counted is not None
    assert counted.number == made(name, {"width": width}, 100)


def test_options_that_change_a_network_otherwise_have_no_count() -> None:
    assert parameters_of("wrn", {"depth": 16}, 10) is None
    assert parameters_of("resnet20", {"shortcut": "pad"}, 10) is None
    assert parameters_of("resnet20", {"shortcut": "conv"}, 10) == parameters_of("resnet20", {}, 10)


def test_timms_are_told_without_their_classifier() -> None:
    counted = parameters_of("timm/resnet18", {}, 10)
    assert counted is not None
    assert not counted.exact
    assert counted.number == made("timm/resnet18", {}, 10) - 513 * 10
