"""Tests for finding the state dict in the structures that training scripts save."""

from typing import Any

import pytest
import torch
from torch import Tensor

from dlkd_core.errors import CheckpointRefused
from dlkd_core.teachers.reading.state_dict import find_state_dict, strip_prefixes

A, B = torch.tensor([1.0]), torch.tensor([2.0])
PLAIN = {"conv1.weight": A, "fc.bias": B}
OPTIMIZER = {"state": {0: {"momentum_buffer": A}}, "param_groups": [{"lr": 0.1, "params": [0]}]}


@pytest.mark.parametrize(
    "loaded",
    [
        PLAIN,
        {**PLAIN, "epoch": 3, 7: A},
        {"state_dict": PLAIN, "best_prec1": 91.7},
        {"model": PLAIN, "optimizer": OPTIMIZER, "epoch": 3},
        {"optimizer": OPTIMIZER, "net": PLAIN, "acc": 93.1},
        {"anything at all": PLAIN},
        {"model": {"state_dict": PLAIN}, "scheduler": {"last_epoch": 3}},
        {"state_dict": {"conv1.weight": B, "fc.bias": A}, "ema_state_dict": PLAIN},
        {"state_dict": {"conv1.weight": B, "fc.bias": A}, "state_dict_ema": PLAIN},
        {"model": {"conv1.weight": B, "fc.bias": A}, "model_ema": PLAIN},
        {"ema": PLAIN},
        {
            "student": {"conv1.weight": B, "fc.bias": A},
            "teacher": PLAIN,
            "dino_loss": {"center": A},
        },
    ],
)
def test_the_weights_are_found_in_every_wrapping(loaded: Any) -> None:
    tensors = find_state_dict(loaded)
    assert tensors.keys() == PLAIN.keys()
    assert all(torch.equal(tensors[name], tensor) for name, tensor in PLAIN.items())


def test_parameters_are_detached() -> None:
    assert not find_state_dict({"a": torch.nn.Parameter(A)})["a"].requires_grad


@pytest.mark.parametrize(
    ("loaded", "message"),
    [
        ({"first": PLAIN, "second": PLAIN}, "several sets of weights: first, second"),
        ([PLAIN], "holds a list, not a state dict"),
        (A, "holds a Tensor, not a state dict"),
        ({"epoch": 3, "lr": 0.1}, "no weights in the file. It holds epoch, lr"),
        ({}, "no weights in the file. It holds nothing"),
        ({"a": {"b": {"c": {"d": {"e": {"f": PLAIN}}}}}}, "no weights in the file. It holds a"),
    ],
)
def test_without_a_single_state_dict_the_file_is_refused_with_its_content(
    loaded: Any, message: str
) -> None:
    with pytest.raises(CheckpointRefused, match=message):
        find_state_dict(loaded)


@pytest.mark.parametrize(
    "prefix",
    [
        "module.",
        "_orig_mod.",
        "module._orig_mod.",
        "_orig_mod.module.",
        "model.",
        "net.module.",
        "module.backbone.",
    ],
)
def test_prefixes_of_wrappers_are_removed(prefix: str) -> None:
    assert set(
        strip_prefixes({f"{prefix}{name}": tensor for name, tensor in PLAIN.items()})
    ) == set(PLAIN)


def test_a_wrapper_around_a_part_is_removed() -> None:
    assert set(strip_prefixes({"features.module.0.weight": A, "classifier.weight": B})) == {
        "features.0.weight",
        "classifier.weight",
    }


def test_similar_names_are_kept() -> None:
    names: dict[str, Tensor] = {"modules.0.weight": A, "layer1.model.weight": A, "model": A}
    assert set(strip_prefixes(names)) == set(names)


def test_prefixes_are_kept_if_two_weights_would_get_one_name() -> None:
    both = {"module.fc.weight": A, "fc.weight": B}
    assert strip_prefixes(both) == both


def test_a_moving_average_of_parameters_only_gets_the_statistics_of_the_raw_weights() -> None:
    raw = {
        "module.bn.weight": torch.zeros(2),
        "module.bn.running_mean": torch.ones(2),
        "module.bn.running_var": torch.full((2,), 3.0),
    }
    average = {"bn.weight": torch.full((2,), 0.5)}
    found = find_state_dict({"state_dict": raw, "ema": average})
    assert {name: tensor[0].item() for name, tensor in found.items()} == {
        "bn.weight": 0.5,
        "bn.running_mean": 1,
        "bn.running_var": 3,
    }
    own = {"bn.weight": torch.full((2,), 0.5), "bn.running_mean": torch.full((2,), 0.2)}
    assert find_state_dict({"state_dict": raw, "ema": own}).keys() == own.keys()
