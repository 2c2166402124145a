"""The optimisers of a run, by name."""

from collections.abc import Callable, Iterable

import torch
from torch import nn
from torch.optim import Optimizer

from dlkd_core.training_spec import TrainingSpec

Builder = Callable[[list[nn.Parameter], TrainingSpec], Optimizer]
_BETA2 = 0.999


def build(training: TrainingSpec, parameters: Iterable[nn.Parameter]) -> Optimizer:
    """The optimiser that `training` names, over the student and the heads of the objective."""
    return BUILDERS[training.optimizer](list(parameters), training)


def _sgd(parameters: list[nn.Parameter], training: TrainingSpec) -> Optimizer:
    return torch.optim.SGD(
        parameters,
        lr=training.learning_rate,
        momentum=training.momentum,
        weight_decay=training.weight_decay,
        nesterov=training.nesterov,
        fused=True,
    )


def _adamw(parameters: list[nn.Parameter], training: TrainingSpec) -> Optimizer:
    return torch.optim.AdamW(
        parameters,
        lr=training.learning_rate,
        betas=(training.momentum, _BETA2),
        weight_decay=training.weight_decay,
        fused=True,
    )


BUILDERS: dict[str, Builder] = {"sgd": _sgd, "adamw": _adamw}
