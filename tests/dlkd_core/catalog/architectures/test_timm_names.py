"""Tests for names of timm's networks with the tag of a set of weights."""

import pytest
from pydantic import ValidationError

from dlkd_core.catalog import find_architecture
from dlkd_core.errors import UnknownChoice
from dlkd_core.spec import TeacherRef


@pytest.mark.parametrize(
    "name",
    [
        "timm/resnet18.a1_in1k",
        "resnet18.a1_in1k",
        "hf-hub:timm/resnet18.a1_in1k",
        "hf_hub:timm/resnet18",
    ],
)
def test_a_name_with_a_tag_means_the_network(name: str) -> None:
    assert find_architecture(name).name == "timm/resnet18"
    teacher = TeacherRef.model_validate({"id": "teacher_1", "architecture": name})
    assert teacher.architecture == "timm/resnet18"


def test_without_a_tag_the_name_is_torchvisions() -> None:
    assert find_architecture("resnet18").name == "resnet18"
    with pytest.raises(UnknownChoice):
        find_architecture("resnet21.a1_in1k")


def test_a_tag_does_not_choose_pretrained_weights() -> None:
    with pytest.raises(ValidationError, match="cannot be chosen by a tag"):
        TeacherRef.model_validate({"pretrained": "timm/resnet18.a1_in1k"})
