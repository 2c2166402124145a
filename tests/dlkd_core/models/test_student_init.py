"""Tests for the initialization of the student."""

from typing import Any

import pytest
import torch
import torchvision

from dlkd_core.errors import SpecError
from dlkd_core.models.network import count_parameters
from dlkd_core.models.student_init import complete_options, init_student
from dlkd_core.spec import Normalization, StudentSpec

DATA_NORMALIZATION = Normalization(mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))


def make_spec(**parts: Any) -> StudentSpec:
    return StudentSpec.model_validate(parts)


def test_a_student_is_initialized_randomly_with_the_normalization_of_the_data() -> None:
    torch.manual_seed(0)
    network, normalization = init_student(
        make_spec(architecture="resnet8"), 3, (3, 32, 32), DATA_NORMALIZATION
    )
    assert normalization == DATA_NORMALIZATION
    assert network.module.training
    assert network.module.get_submodule("fc").weight.shape == (3, 64)


def test_a_transformer_is_built_for_the_image_size_of_the_data_set() -> None:
    student = make_spec(architecture="timm/vit_tiny_patch16_224")
    assert complete_options(student, (3, 48, 48)) == {"image_size": 48}
    network, _ = init_student(student, 3, (3, 48, 48), DATA_NORMALIZATION)
    assert network.module(torch.zeros(1, 3, 48, 48)).shape == (1, 3)


def test_an_image_size_that_a_network_does_not_support_is_a_spec_error() -> None:
    with pytest.raises(
        SpecError, match="maxvit_tiny_rw_224 does not run on images of 40 x 40 pixels: "
    ) as caught:
        init_student(
            make_spec(architecture="timm/maxvit_tiny_rw_224"), 3, (3, 40, 40), DATA_NORMALIZATION
        )
    assert (caught.value.pointer, caught.value.code) == ("/student/architecture", "spec_invalid")


def count_student_parameters(architecture: str, **options: Any) -> int:
    network, _ = init_student(
        make_spec(architecture=architecture, options=options), 10, (3, 32, 32), DATA_NORMALIZATION
    )
    return count_parameters(network.module)


def test_depths_and_widths_are_options() -> None:
    assert count_student_parameters("wrn", depth=16, widen_factor=2) == count_student_parameters(
        "wrn_16_2"
    )
    half = torchvision.models.mobilenet_v2(width_mult=0.5, num_classes=10)
    assert count_student_parameters("mobilenet_v2", width_mult=0.5) == count_parameters(half)
    narrow, wide = count_student_parameters("resnet8"), count_student_parameters("resnet8", width=2)
    assert 3.9 < wide / narrow < 4
    narrow = count_student_parameters("resnet8x4")
    wide = count_student_parameters("resnet8x4", width=2)
    assert 3.9 < wide / narrow < 4


def test_a_wide_resnet_of_an_invalid_depth_is_an_error() -> None:
    with pytest.raises(SpecError, match="cannot have a depth of 12") as caught:
        init_student(
            make_spec(architecture="wrn", options={"depth": 12}),
            10,
            (3, 32, 32),
            DATA_NORMALIZATION,
        )
    assert caught.value.pointer == "/student/options/depth"
