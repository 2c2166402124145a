"""State dicts, however training scripts have wrapped them."""

from typing import Any

import pytest
import torch
from torch import Tensor

from dlkd_core.errors import CheckpointRefused
from dlkd_core.teachers.unwrap import find_tensors, plain_names

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
        {"student": {"conv1.weight": B, "fc.bias": A}, "teacher": PLAIN, "dino_loss": {"center": A}},
    ],
)
def test_the_weights_are_found_in_every_wrapping(loaded: Any) -> None:
    found = find_tensors(loaded)
    assert found.keys() == PLAIN.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in PLAIN.items())


def test_a_parameter_comes_without_its_gradient() -> None:
    assert not find_tensors({"a": torch.nn.Parameter(A)})["a"].requires_grad


@pytest.mark.parametrize(
    ("loaded", "what"),
    [
        ({"first": PLAIN, "second": PLAIN}, "several sets of weights: first, second"),
        ([PLAIN], "holds a list, not a state dict"),
        (A, "holds a Tensor, not a state dict"),
        ({"epoch": 3, "lr": 0.1}, "no weights in the file; it holds epoch, lr"),
        ({}, "no weights in the file; it holds nothing"),
        ({"a": {"b": {"c": {"d": {"e": {"f": PLAIN}}}}}}, "no weights in the file; it holds a"),
    ],
)
def test_what_holds_no_one_state_dict_is_refused_with_what_it_holds(loaded: Any, what: str) -> None:
    with pytest.raises(CheckpointRefused, match=what):
        find_tensors(loaded)


@pytest.mark.parametrize(
    "prefix", ["module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module.", "model.", "net.module.", "module.backbone."]
)
def test_prefixes_of_wrappers_go(prefix: str) -> None:
    assert set(plain_names({f"{prefix}{name}": tensor for name, tensor in PLAIN.items()})) == set(PLAIN)


def test_a_wrapper_around_a_part_goes_too() -> None:
    assert set(plain_names({"features.module.0.weight": A, "classifier.weight": B})) == {"features.0.weight", "classifier.weight"}


def test_names_that_only_look_alike_stay() -> None:
    names: dict[str, Tensor] = {"modules.0.weight": A, "layer1.model.weight": A, "model": A}
    assert set(plain_names(names)) == set(names)


def test_prefixes_stay_where_two_weights_would_get_one_name() -> None:
    both = {"module.fc.weight": A, "fc.weight": B}
    assert plain_names(both) == both
