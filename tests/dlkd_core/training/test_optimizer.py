"""Tests for the optimizers: SGD as in the DLKD paper, and AdamW."""

from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from dlkd_core.training.loop import train
from dlkd_core.training.optimizer import OPTIMIZER_BUILDERS, build_optimizer
from dlkd_core.training_spec import OptimizerName, ResolvedTrainingSpec, TrainingSpec
from tests.dlkd_core.training.small_run import (
    collect_tensors,
    make_run,
    resume,
    stop_after,
    tensors_equal,
)


def run_two_steps(optimizer: torch.optim.Optimizer, weight: nn.Parameter) -> torch.Tensor:
    for factor in (1.0, -3.0):
        weight.grad = factor * torch.tensor([1.0, 2.0])
        optimizer.step()
    return weight.detach().clone()


def weight() -> nn.Parameter:
    return nn.Parameter(torch.tensor([0.5, -0.25]))


def test_every_optimizer_of_the_spec_has_a_builder() -> None:
    assert set(OPTIMIZER_BUILDERS) == set(OptimizerName)


def test_the_default_is_sgd_with_the_papers_parameters() -> None:
    optimizer = build_optimizer(ResolvedTrainingSpec(batch_size=64, learning_rate=0.05), [weight()])
    assert isinstance(optimizer, torch.optim.SGD)
    group = optimizer.param_groups[0]
    assert (group["lr"], group["momentum"], group["weight_decay"]) == (0.05, 0.9, 5e-4)
    assert group["nesterov"] is False


@pytest.mark.parametrize("nesterov", [False, True])
def test_sgd_adds_the_decay_to_the_gradient_and_keeps_momentum(nesterov: bool) -> None:  # noqa: FBT001 - parametrized by pytest
    spec = ResolvedTrainingSpec(
        batch_size=64, learning_rate=0.1, momentum=0.5, weight_decay=0.2, nesterov=nesterov
    )
    w, velocity = weight(), torch.zeros(2)
    expected = w.detach().clone()
    for factor in (1.0, -3.0):
        gradient = factor * torch.tensor([1.0, 2.0]) + 0.2 * expected
        velocity = 0.5 * velocity + gradient
        expected = expected - 0.1 * (gradient + 0.5 * velocity if nesterov else velocity)
    assert torch.allclose(run_two_steps(build_optimizer(spec, [w]), w), expected)


def test_adamw_decouples_weight_decay_and_uses_momentum_as_beta1() -> None:
    spec = ResolvedTrainingSpec(
        batch_size=64, optimizer="adamw", learning_rate=0.1, momentum=0.5, weight_decay=0.2
    )
    w = weight()
    expected, mean, square = w.detach().clone(), torch.zeros(2), torch.zeros(2)
    for step, factor in enumerate((1.0, -3.0), start=1):
        gradient = factor * torch.tensor([1.0, 2.0])
        mean, square = 0.5 * mean + 0.5 * gradient, 0.999 * square + 0.001 * gradient**2
        decayed = expected * (1 - 0.1 * 0.2)
        expected = decayed - 0.1 * (mean / (1 - 0.5**step)) / (
            (square / (1 - 0.999**step)).sqrt() + 1e-8
        )
    assert torch.allclose(run_two_steps(build_optimizer(spec, [w]), w), expected)


@pytest.mark.parametrize("stop", [1, 4])
def test_a_run_with_adamw_is_resumed_bit_for_bit(tmp_path: Path, stop: int) -> None:
    training: dict[str, Any] = {"optimizer": "adamw", "learning_rate": 0.001, "weight_decay": 0.01}
    whole = make_run(tmp_path / "whole", "dlkd", **training)
    list(train(whole))
    stop_after(make_run(tmp_path / "stopped", "dlkd", **training), stop)
    resumed = make_run(tmp_path / "resumed", "dlkd", **training)
    list(resume(resumed, tmp_path / "stopped"))
    assert "exp_avg.0" in collect_tensors(whole.state)
    assert tensors_equal(collect_tensors(resumed.state), collect_tensors(whole.state))


def test_nesterov_is_rejected_for_other_optimizers() -> None:
    with pytest.raises(ValidationError, match="nesterov is only supported by the optimizer sgd"):
        TrainingSpec(optimizer="adamw", nesterov=True)
