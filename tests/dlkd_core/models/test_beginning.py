"""How a student begins."""

from typing import Any

import pytest
import torch
import torchvision

from dlkd_core.errors import SpecError
from dlkd_core.models.beginning import begin, complete_options
from dlkd_core.spec import Normalization, StudentSpec

OWN = Normalization(mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))


def spec(**parts: Any) -> StudentSpec:
    return StudentSpec.model_validate(parts)


def test_a_student_is_drawn_anew_under_the_datas_own_normalization() -> None:
    torch.manual_seed(0)
    network, normalization = begin(spec(architecture="resnet8"), 3, (32, 32), OWN)
    assert normalization == OWN
    assert network.module.training
    assert network.module.get_submodule("fc").weight.shape == (3, 64)


def test_a_transformer_is_made_for_the_images_of_the_data_set() -> None:
    student = spec(architecture="timm/vit_tiny_patch16_224")
    assert complete_options(student, (48, 48)) == {"image_size": 48}
    network, _ = begin(student, 3, (48, 48), OWN)
    assert network.module(torch.zeros(1, 3, 48, 48)).shape == (1, 3)


def test_images_that_a_network_fails_on_are_a_spec_error_and_not_a_stack_trace() -> None:
    with pytest.raises(SpecError, match="maxvit_tiny_rw_224 does not run on images of 40 x 40 pixels: ") as caught:
        begin(spec(architecture="timm/maxvit_tiny_rw_224"), 3, (40, 40), OWN)
    assert (caught.value.pointer, caught.value.code) == ("/student/architecture", "spec_invalid")


def parameters(architecture: str, **options: Any) -> int:
    network, _ = begin(spec(architecture=architecture, options=options), 10, (32, 32), OWN)
    return sum(one.numel() for one in network.module.parameters())


def test_depths_and_widths_are_options() -> None:
    assert parameters("wrn", depth=16, widen_factor=2) == parameters("wrn_16_2")
    half = torchvision.models.mobilenet_v2(width_mult=0.5, num_classes=10)
    assert parameters("mobilenet_v2", width_mult=0.5) == sum(one.numel() for one in half.parameters())
    assert 3.9 < parameters("resnet8", width=2) / parameters("resnet8") < 4
    assert 3.9 < parameters("resnet8x4", width=2) / parameters("resnet8x4") < 4


def test_a_wide_resnet_has_no_depth_between() -> None:
    with pytest.raises(SpecError, match="no depth of 12") as caught:
        begin(spec(architecture="wrn", options={"depth": 12}), 10, (32, 32), OWN)
    assert caught.value.pointer == "/student/options/depth"
