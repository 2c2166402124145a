"""Choice of the input normalization with which a teacher was trained.

Several normalizations often give nearly the same accuracy. Two things show which one was used in
the training: with it, batch normalizations see the statistics that they have stored, and the
teacher fits the training images best.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from statistics import fmean
from typing import Any

import torch
from torch import Tensor, nn

from dlkd_core.data.host_images import Images
from dlkd_core.evaluation.accuracy import LogitsFn
from dlkd_core.spec import Normalization
from dlkd_core.teachers.normalization import DATA, keep_plausible

# A normalization is ruled out by losses that are this many standard errors worse than the best.
_RULED_OUT_AT, _CLEARLY_WORSE_AT = 5.0, 3.0
_WORSE_AT = 2.0  # where only the losses decide
_STATISTICS_IMAGES = 256
# A published normalization whose values differ by less in total is that of the dataset.
_MAX_DISTANCE = 0.03
_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.SyncBatchNorm)

# Returns how much a network's stored statistics differ from those of images (N, C, H, W) uint8, or
# None if it has no batch normalization.
MismatchFn = Callable[[Normalization, Tensor], float | None]
# Returns how badly candidates fit, by name. Empty if nothing but their losses can decide.
MeasureFn = Callable[[Sequence[str]], Mapping[str, float]]


@dataclass(frozen=True)
class NormalizationChoice:
    """The chosen normalization and the reason.

    Attributes:
        name: Its name among the candidates.
        reason: A sentence for the user, empty if there was no choice.
    """

    name: str
    reason: str = ""


def choose_normalization(losses: Mapping[str, Tensor], measure: MeasureFn) -> NormalizationChoice:
    """Choose the normalization that fits best among those whose losses are not clearly worse.

    Args:
        losses: Losses of each candidate on the same training images, (N,).
        measure: Measures how badly some of the candidates fit.
    """
    accepted = keep_plausible(losses, _CLEARLY_WORSE_AT)
    if len(accepted) == 1:
        return _explain(accepted[0], {})
    mismatches = measure(accepted)
    if mismatches:
        name = min(accepted, key=lambda name: mismatches.get(name, inf))
        return _explain(name, {name: losses[name] for name in accepted})
    accepted = keep_plausible(losses, _WORSE_AT)
    return _explain(accepted[0], {name: losses[name] for name in accepted})


def _explain(name: str, accepted: Mapping[str, Tensor]) -> NormalizationChoice:
    reason = f"The teacher's normalization is taken to be {name}."
    if len(accepted) < 2:
        return NormalizationChoice(name, f"{reason} All others are clearly worse.")
    means = ", ".join(f"{name} {losses.mean().item():.4g}" for name, losses in accepted.items())
    return NormalizationChoice(
        name, f"{reason} The mean losses of those that are possible are: {means}."
    )


def rule_out(losses: Mapping[str, Tensor]) -> list[str]:
    """Return the candidates that remain after the first losses, so that others cost no time."""
    return keep_plausible(losses, _RULED_OUT_AT)


def find_published(candidates: Mapping[str, Normalization]) -> dict[str, float]:
    """Return the candidates that are published statistics of the dataset.

    The values are the distances to the statistics of its training images. Where nothing else
    decides, such a normalization is the most likely one, before the first candidate.
    """
    own = _values(candidates[DATA])
    distances = {
        name: (_values(candidate) - own).abs().sum().item()
        for name, candidate in candidates.items()
        if name != DATA
    }
    return {name: distance for name, distance in distances.items() if distance < _MAX_DISTANCE}


def sample_images(images: Images) -> Tensor:
    """Return the images on which statistics are measured."""
    return images[:_STATISTICS_IMAGES]


@torch.no_grad()
def measure_mismatch(module: nn.Module, forward: LogitsFn, images: Tensor) -> float | None:
    """Compare the statistics of the inputs of batch normalizations with those they have stored.

    Args:
        module: The network, in evaluation mode.
        forward: Runs the network on images in [0, 1].
        images: Training images (N, C, H, W) uint8 on the device.

    Returns:
        The squared difference of the means, in stored standard deviations, plus the squared
        logarithm of the ratio of the variances, averaged over the channels of all layers that were
        run. None if there are none.
    """
    differences: list[float] = []

    def record(layer: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        differences.append(_compare_statistics(layer, arguments[0]))

    handles = [
        layer.register_forward_pre_hook(record)
        for layer in module.modules()
        if isinstance(layer, _BATCH_NORMS) and layer.running_mean is not None
    ]
    if not handles:
        return None
    try:
        forward(images.float() / 255)
    finally:
        for handle in handles:
            handle.remove()
    return fmean(differences) if differences else None


def _compare_statistics(layer: Any, inputs: Tensor) -> float:
    values = inputs.transpose(0, 1).flatten(1).double()
    mean, variance = layer.running_mean.double(), layer.running_var.double().clamp_min(1e-12)
    shift = (values.mean(dim=1) - mean).square() / variance
    scale = (values.var(dim=1).clamp_min(1e-12) / variance).log().square()
    return float((shift + scale).mean())


def _values(normalization: Normalization) -> Tensor:
    return torch.tensor([*normalization.mean, *normalization.std])
