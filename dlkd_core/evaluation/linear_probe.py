"""Linear probe: measures the accuracy of a linear classifier trained on frozen features."""

from dataclasses import dataclass
from math import inf

import torch
from torch import Tensor
from torch.nn import functional as F

from dlkd_core.catalog.evaluation_protocols import LinearProbe
from dlkd_core.evaluation.features import DatasetFeatures

_MAX_STEPS = 2000
_GRADIENT_TOLERANCE = 1e-5  # tolerance for the largest entry in the gradient of the mean loss
_MIN_STD = 1e-6  # avoids division by zero for a constant feature


@dataclass(frozen=True)
class ProbeResult:
    """Top-1 accuracy in [0, 1], and whether the optimization converged."""

    top1: float
    converged: bool


def linear_probe(
    bank: Tensor,
    bank_labels: Tensor,
    queries: Tensor,
    labels: Tensor,
    *,
    classes: int,
    penalty: float = 1.0,
) -> ProbeResult:
    """Fit softmax regression on standardized features and classify the queries.

    Minimizes sum_i CE(W f_i + b, y_i) + penalty / 2 |W|^2 over the bank, like scikit-learn's
    LogisticRegression(C=1 / penalty). The problem is convex and L-BFGS finds its global optimum,
    so the result does not depend on a learning rate, a seed or the order of the images. The whole
    bank is processed at once in float64, which is suitable for a few hundred thousand images, but
    not for millions.

    Args:
        bank: Features (M, D) to train on.
        bank_labels: Class indices (M,) of the bank.
        queries: Features (N, D) to classify.
        labels: Correct class indices (N,) of the queries.
        classes: Number of classes.
        penalty: Weight of the L2 penalty.
    """
    bank = bank.double()
    mean, std = bank.mean(dim=0), bank.std(dim=0, correction=0).clamp_min(_MIN_STD)
    weight, bias, converged = _fit((bank - mean) / std, bank_labels, classes, penalty)
    predictions = ((queries.double() - mean) / std @ weight + bias).argmax(dim=1)
    return ProbeResult((predictions == labels).double().mean().item(), converged)


def run(protocol: LinearProbe, features: DatasetFeatures) -> dict[str, float | bool]:
    """Run the protocol on a dataset's features."""
    result = linear_probe(
        features.train,
        features.train_labels,
        features.val,
        features.val_labels,
        classes=features.classes,
        penalty=protocol.penalty,
    )
    return {"top1": result.top1, "converged": result.converged}


def _fit(rows: Tensor, labels: Tensor, classes: int, penalty: float) -> tuple[Tensor, Tensor, bool]:
    """Return the weights (D, classes), the biases (classes,) and whether the fit converged."""
    weight = rows.new_zeros(rows.shape[1], classes, requires_grad=True)
    bias = rows.new_zeros(classes, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [weight, bias],
        max_iter=_MAX_STEPS,
        history_size=20,
        tolerance_grad=_GRADIENT_TOLERANCE / 10,
        tolerance_change=0,
        line_search_fn="strong_wolfe",
    )
    max_gradient = inf

    def loss() -> Tensor:
        nonlocal max_gradient
        total = (
            F.cross_entropy(rows @ weight + bias, labels)
            + penalty / (2 * len(rows)) * weight.square().sum()
        )
        weight.grad, bias.grad = torch.autograd.grad(total, (weight, bias))
        max_gradient = max(
            parameter.grad.abs().max().item()
            for parameter in (weight, bias)
            if parameter.grad is not None
        )
        return total

    with torch.enable_grad():
        optimizer.step(loss)  # type: ignore[no-untyped-call]  # torch's own
    return weight.detach(), bias.detach(), max_gradient <= _GRADIENT_TOLERANCE
