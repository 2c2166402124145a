"""The optimisers: the paper's as it always was, and another by name."""

from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from dlkd_core.checkpoint import FILE
from dlkd_core.optimizer import BUILDERS, build
from dlkd_core.training import train
from dlkd_core.training_spec import OptimizerName, TrainingSpec

from .loop import everything, new_run, same
from .test_training import stopped_after


def after_two_steps(optimizer: torch.optim.Optimizer, weight: nn.Parameter) -> torch.Tensor:
    for factor in (1.0, -3.0):
        weight.grad = factor * torch.tensor([1.0, 2.0])
        optimizer.step()
    return weight.detach().clone()


def weight() -> nn.Parameter:
    return nn.Parameter(torch.tensor([0.5, -0.25]))


def test_every_name_of_the_spec_has_a_builder() -> None:
    assert set(BUILDERS) == set(get_args(OptimizerName))


def test_left_out_it_is_sgd_with_the_papers_numbers() -> None:
    optimizer = build(TrainingSpec(), [weight()])
    assert isinstance(optimizer, torch.optim.SGD)
    group = optimizer.param_groups[0]
    assert (group["lr"], group["momentum"], group["weight_decay"], group["nesterov"]) == (0.05, 0.9, 5e-4, False)


@pytest.mark.parametrize("nesterov", [False, True])
def test_sgd_adds_the_decay_to_the_gradient_and_keeps_momentum(nesterov: bool) -> None:  # noqa: FBT001 - a parameter of the test
    spec = TrainingSpec(learning_rate=0.1, momentum=0.5, weight_decay=0.2, nesterov=nesterov)
    w, moved = weight(), torch.zeros(2)
    expected = w.detach().clone()
    for factor in (1.0, -3.0):
        gradient = factor * torch.tensor([1.0, 2.0]) + 0.2 * expected
        moved = 0.5 * moved + gradient
        expected = expected - 0.1 * (gradient + 0.5 * moved if nesterov else moved)
    assert torch.allclose(after_two_steps(build(spec, [w]), w), expected)


def test_adamw_decays_apart_from_the_gradient_and_takes_momentum_for_its_first_beta() -> None:
    spec = TrainingSpec(optimizer="adamw", learning_rate=0.1, momentum=0.5, weight_decay=0.2)
    w = weight()
    expected, mean, square = w.detach().clone(), torch.zeros(2), torch.zeros(2)
    for step, factor in enumerate((1.0, -3.0), start=1):
        gradient = factor * torch.tensor([1.0, 2.0])
        mean, square = 0.5 * mean + 0.5 * gradient, 0.999 * square + 0.001 * gradient**2
        decayed = expected * (1 - 0.1 * 0.2)
        expected = decayed - 0.1 * (mean / (1 - 0.5**step)) / ((square / (1 - 0.999**step)).sqrt() + 1e-8)
    assert torch.allclose(after_two_steps(build(spec, [w]), w), expected)


@pytest.mark.parametrize("stop", [1, 4])
def test_a_run_with_adamw_is_resumed_bit_for_bit(tmp_path: Path, stop: int) -> None:
    training: dict[str, Any] = {"optimizer": "adamw", "learning_rate": 0.001, "weight_decay": 0.01}
    whole = new_run(tmp_path / "whole", "dlkd", **training)
    list(train(whole))
    stopped_after(new_run(tmp_path / "stopped", "dlkd", **training), stop)
    again = new_run(tmp_path / "again", "dlkd", **training)
    list(train(again, again.state.load(tmp_path / "stopped" / FILE, digest="this run")))
    assert "exp_avg.0" in everything(whole.state)
    assert same(everything(again.state), everything(whole.state))


def test_what_the_optimiser_would_not_use_is_refused() -> None:
    with pytest.raises(ValidationError, match="nesterov belongs to the optimizer sgd"):
        TrainingSpec(optimizer="adamw", nesterov=True)
