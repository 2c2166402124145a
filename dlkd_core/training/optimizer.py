"""Construction of the optimizer that a spec selects."""

from collections.abc import Callable, Iterable

import torch
from torch import nn
from torch.optim import Optimizer

from dlkd_core.training_spec import OptimizerName, ResolvedTrainingSpec

OptimizerBuilder = Callable[[list[nn.Parameter], ResolvedTrainingSpec], Optimizer]
_ADAM_BETA2 = 0.999


def build_optimizer(
    training: ResolvedTrainingSpec, parameters: Iterable[nn.Parameter]
) -> Optimizer:
    """Build the optimizer that the spec selects, for the given parameters."""
    return OPTIMIZER_BUILDERS[training.optimizer](list(parameters), training)


def _build_sgd(parameters: list[nn.Parameter], training: ResolvedTrainingSpec) -> Optimizer:
    return torch.optim.SGD(
        parameters,
        lr=training.learning_rate,
        momentum=training.momentum,
        weight_decay=training.weight_decay,
        nesterov=training.nesterov,
        fused=True,
    )


def _build_adamw(parameters: list[nn.Parameter], training: ResolvedTrainingSpec) -> Optimizer:
    return torch.optim.AdamW(
        parameters,
        lr=training.learning_rate,
        betas=(training.momentum, _ADAM_BETA2),
        weight_decay=training.weight_decay,
        fused=True,
    )


OPTIMIZER_BUILDERS: dict[OptimizerName, OptimizerBuilder] = {
    OptimizerName.SGD: _build_sgd,
    OptimizerName.ADAMW: _build_adamw,
}
