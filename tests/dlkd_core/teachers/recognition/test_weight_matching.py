"""Tests for matching the weights in a file to the parameters of a network."""

import pytest
import torch

from dlkd_core.models.meta_network import build_meta_network
from dlkd_core.teachers.recognition.weight_matching import find_classifiers, match_weights
from tests.dlkd_core.teachers.sample_checkpoints import random_state_dict


def test_a_networks_own_weights_match() -> None:
    weights = random_state_dict()
    match = match_weights(weights, build_meta_network("resnet8", 10), "fc")
    assert match.mismatch_count == 0
    assert match.describe() == ""
    assert match.tensors.keys() == weights.keys()
    assert all(match.tensors[name] is tensor for name, tensor in weights.items())


def test_alternative_layer_names_are_mapped_to_the_networks() -> None:
    weights = {
        name.replace("downsample", "shortcut").replace("fc.", "linear."): tensor
        for name, tensor in random_state_dict().items()
    }
    match = match_weights(weights, build_meta_network("resnet8", 10), "linear")
    assert match.mismatch_count == 0
    assert match.tensors["fc.weight"] is weights["linear.weight"]
    assert match.tensors["layer2.0.downsample.0.weight"] is weights["layer2.0.shortcut.0.weight"]


def test_missing_unexpected_and_mismatched_weights_are_listed() -> None:
    weights = random_state_dict()
    weights["conv2.weight"] = weights.pop("conv1.weight")
    weights["bn1.bias"] = torch.zeros(3)
    match = match_weights(weights, build_meta_network("resnet8", 10), "fc")
    assert match.missing == ["conv1.weight"]
    assert match.unexpected == ["conv2.weight"]
    assert match.mismatched == ["bn1.bias: (3,) in the file, (16,) in the network"]
    assert match.mismatch_count == 3
    assert match.describe().startswith(
        "missing 1 (conv1.weight), unexpected 1 (conv2.weight), of different shape 1 (bn1.bias"
    )


def test_batch_counters_may_be_missing() -> None:
    weights = {
        name: tensor
        for name, tensor in random_state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    assert match_weights(weights, build_meta_network("resnet8", 10), "fc").mismatch_count == 0


def test_integer_weights_mismatch_and_float_counters_match() -> None:
    weights = random_state_dict()
    weights["bn1.num_batches_tracked"] = torch.tensor(7.0)
    assert match_weights(weights, build_meta_network("resnet8", 10), "fc").mismatch_count == 0
    weights["fc.weight"] = weights["fc.weight"].to(torch.int8)
    assert match_weights(weights, build_meta_network("resnet8", 10), "fc").mismatched == [
        "fc.weight: (10, 64) of int8 in the file, (10, 64) in the network"
    ]


def test_a_second_weight_for_one_layer_is_unexpected() -> None:
    weights = random_state_dict()
    weights["layer2.0.shortcut.0.weight"] = weights["layer2.0.downsample.0.weight"]
    assert match_weights(weights, build_meta_network("resnet8", 10), "fc").unexpected == [
        "layer2.0.shortcut.0.weight"
    ]


def test_auxiliary_classifiers_are_ignored() -> None:
    weights = {**random_state_dict("googlenet", 3), "aux1.fc2.weight": torch.zeros(3, 1024)}
    match = match_weights(weights, build_meta_network("googlenet", 3), "fc")
    assert match.mismatch_count == 0
    assert "aux1.fc2.weight" not in match.tensors


@pytest.mark.parametrize(
    ("shapes", "expected"),
    [
        ({"head.weight": (10, 64)}, ["head"]),
        # the name that the network uses takes precedence over other common names
        ({"linear.weight": (10, 64), "fc.weight": (10, 64)}, ["fc"]),
        ({"output.weight": (10, 64, 1, 1)}, ["output"]),
        ({"linear.weight": (64,)}, []),  # a normalization layer, not a classifier
        ({"linear.weight": (0, 64)}, []),  # a classifier without classes
        ({"layer1.weight": (10, 64)}, []),
    ],
)
def test_the_classifier_has_its_own_or_a_usual_name(
    shapes: dict[str, tuple[int, ...]], expected: list[str]
) -> None:
    tensors = {name: torch.zeros(shape) for name, shape in shapes.items()}
    assert find_classifiers(tensors, "fc") == expected
