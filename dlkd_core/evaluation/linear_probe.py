"""The linear probe: how well classes can be told apart by planes in the space of frozen features."""

from dataclasses import dataclass
from math import inf

import torch
from torch import Tensor
from torch.nn import functional as F

from dlkd_core.catalog.evaluations import LinearProbe
from dlkd_core.evaluation.features import Features

_STEPS, _CONVERGED = 2000, 1e-5  # the largest entry of the gradient, where the loss is a mean
_LEAST_STD = 1e-6  # of a feature; a constant one tells nothing


@dataclass(frozen=True)
class Probe:
    """`top1` in [0, 1]; whether the optimum was reached."""

    top1: float
    converged: bool


def linear_probe(
    bank: Tensor, bank_labels: Tensor, queries: Tensor, labels: Tensor, *, classes: int, penalty: float = 1.0
) -> Probe:
    """Softmax regression on standardised features, by L-BFGS to its only optimum: no learning rate, seed or order has a say.

    Minimises sum_i CE(W f_i + b, y_i) + penalty / 2 |W|^2 over the bank, as scikit-learn's LogisticRegression(C=1 / penalty).
    In float64 and all at once: for some hundred thousand images, not for millions.

    Args:
        bank: features (M, D) that are learnt from.
        bank_labels: their classes (M,).
        queries: features (N, D) to classify.
        labels: the right classes (N,).
        classes: how many there are.
        penalty: of the weights.
    """
    known = bank.double()
    mean, std = known.mean(dim=0), known.std(dim=0, correction=0).clamp_min(_LEAST_STD)
    weight, bias, converged = _fit((known - mean) / std, bank_labels, classes, penalty)
    guesses = ((queries.double() - mean) / std @ weight + bias).argmax(dim=1)
    return Probe((guesses == labels).double().mean().item(), converged)


def run(choice: LinearProbe, seen: Features) -> dict[str, float | bool]:
    """The protocol on the features of a data set."""
    found = linear_probe(seen.train, seen.train_labels, seen.val, seen.val_labels, classes=seen.classes, penalty=choice.penalty)
    return {"top1": found.top1, "converged": found.converged}


def _fit(rows: Tensor, labels: Tensor, classes: int, penalty: float) -> tuple[Tensor, Tensor, bool]:
    """Weights (D, classes), biases (classes,) and whether the gradient has vanished."""
    weight = rows.new_zeros(rows.shape[1], classes, requires_grad=True)
    bias = rows.new_zeros(classes, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [weight, bias],
        max_iter=_STEPS,
        history_size=20,
        tolerance_grad=_CONVERGED / 10,
        tolerance_change=0,
        line_search_fn="strong_wolfe",
    )
    steepest = inf

    def loss() -> Tensor:
        nonlocal steepest
        total = F.cross_entropy(rows @ weight + bias, labels) + penalty / (2 * len(rows)) * weight.square().sum()
        weight.grad, bias.grad = torch.autograd.grad(total, (weight, bias))
        steepest = max(one.grad.abs().max().item() for one in (weight, bias) if one.grad is not None)
        return total

    with torch.enable_grad():
        optimizer.step(loss)  # type: ignore[no-untyped-call]  # torch's own
    return weight.detach(), bias.detach(), steepest <= _CONVERGED
