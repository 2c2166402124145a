"""A file's weights beside a network's."""

import pytest
import torch

from dlkd_core.models.skeleton import skeleton
from dlkd_core.teachers.fit import classifiers, fit

from .checkpoints import state


def test_a_networks_own_weights_fit_without_a_fault() -> None:
    weights = state()
    laid = fit(weights, skeleton("resnet8", 10), "fc")
    assert laid.faults == 0
    assert laid.described() == ""
    assert laid.tensors.keys() == weights.keys()
    assert all(laid.tensors[name] is tensor for name, tensor in weights.items())


def test_other_names_of_the_same_layers_go_over_under_the_networks_names() -> None:
    weights = {name.replace("downsample", "shortcut").replace("fc.", "linear."): tensor for name, tensor in state().items()}
    laid = fit(weights, skeleton("resnet8", 10), "linear")
    assert laid.faults == 0
    assert laid.tensors["fc.weight"] is weights["linear.weight"]
    assert laid.tensors["layer2.0.downsample.0.weight"] is weights["layer2.0.shortcut.0.weight"]


def test_missing_unexpected_and_misshapen_weights_are_listed() -> None:
    weights = state()
    weights["conv2.weight"] = weights.pop("conv1.weight")
    weights["bn1.bias"] = torch.zeros(3)
    laid = fit(weights, skeleton("resnet8", 10), "fc")
    assert laid.missing == ["conv1.weight"]
    assert laid.unexpected == ["conv2.weight"]
    assert laid.misshapen == ["bn1.bias: (3,) in the file, (16,) in the network"]
    assert laid.faults == 3
    assert laid.described().startswith("missing 1 (conv1.weight), unexpected 1 (conv2.weight), of other shapes 1 (bn1.bias")


def test_what_is_only_counted_may_be_missing() -> None:
    weights = {name: tensor for name, tensor in state().items() if not name.endswith("num_batches_tracked")}
    assert fit(weights, skeleton("resnet8", 10), "fc").faults == 0


def test_whole_numbers_are_no_weights_and_counts_may_be_fractions() -> None:
    weights = state()
    weights["bn1.num_batches_tracked"] = torch.tensor(7.0)
    assert fit(weights, skeleton("resnet8", 10), "fc").faults == 0
    weights["fc.weight"] = weights["fc.weight"].to(torch.int8)
    assert fit(weights, skeleton("resnet8", 10), "fc").misshapen == [
        "fc.weight: (10, 64) of int8 in the file, (10, 64) in the network"
    ]


def test_a_second_weight_for_one_layer_is_unexpected() -> None:
    weights = state()
    weights["layer2.0.shortcut.0.weight"] = weights["layer2.0.downsample.0.weight"]
    assert fit(weights, skeleton("resnet8", 10), "fc").unexpected == ["layer2.0.shortcut.0.weight"]


def test_auxiliary_classifiers_are_left_out() -> None:
    weights = {**state("googlenet", 3), "aux1.fc2.weight": torch.zeros(3, 1024)}
    laid = fit(weights, skeleton("googlenet", 3), "fc")
    assert laid.faults == 0
    assert "aux1.fc2.weight" not in laid.tensors


@pytest.mark.parametrize(
    ("weights", "found"),
    [
        ({"head.weight": (10, 64)}, ["head"]),
        ({"linear.weight": (10, 64), "fc.weight": (10, 64)}, ["fc"]),  # the network's own name goes before the usual ones
        ({"output.weight": (10, 64, 1, 1)}, ["output"]),
        ({"linear.weight": (64,)}, []),  # a normalisation
        ({"linear.weight": (0, 64)}, []),  # of no class
        ({"layer1.weight": (10, 64)}, []),
    ],
)
def test_the_classifier_goes_by_its_own_or_a_usual_name(weights: dict[str, tuple[int, ...]], found: list[str]) -> None:
    assert classifiers({name: torch.zeros(shape) for name, shape in weights.items()}, "fc") == found
