"""Weights laid beside a network's: what fits goes over under the network's names, and the rest is listed."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from dlkd_core.models import Network
from dlkd_core.teachers.names import CLASSIFIERS, canonical, is_auxiliary, of_layer, some


@dataclass(frozen=True)
class Fit:
    """`tensors` by the network's names, and what stands in the way of a strict load."""

    tensors: dict[str, Tensor]
    missing: list[str]
    unexpected: list[str]
    misshapen: list[str]  # "conv1.weight: (64, 3, 7, 7) in the file, (16, 3, 3, 3) in the network"

    @property
    def faults(self) -> int:
        """How many names do not fit."""
        return len(self.missing) + len(self.unexpected) + len(self.misshapen)

    def described(self) -> str:
        """`missing 2 (...), unexpected 1 (...)`, the first few of each."""
        found = {"missing": self.missing, "unexpected": self.unexpected, "of other shapes": self.misshapen}
        return ", ".join(f"{kind} {some(names)}" for kind, names in found.items() if names)


def classifiers(tensors: Mapping[str, Tensor], own: str) -> list[str]:
    """Layers of the file that may be the classifier: that of the network's own name, else the usual names."""
    present = [name for name in (own, *CLASSIFIERS) if f"{name}.weight" in tensors and _classifies(tensors[f"{name}.weight"])]
    return present[:1] if own in present else present


def fit(tensors: Mapping[str, Tensor], network: Network, classifier: str | None) -> Fit:
    """Lays the file's weights beside the network's; `classifier` is the file's name of the last layer, None where it has none."""
    expected = network.module.state_dict()
    ours = {canonical(name): name for name in expected}
    renamed = dict(zip(of_layer(classifier), of_layer(network.classifier), strict=True)) if classifier else {}
    laid: dict[str, Tensor] = {}
    unexpected = []
    for name, tensor in tensors.items():
        target = renamed.get(name) or ours.get(canonical(name))
        if target in expected and target not in laid:
            laid[target] = tensor
        elif not is_auxiliary(name):
            unexpected.append(name)
    missing = [name for name, tensor in expected.items() if name not in laid and tensor.is_meta]
    misshapen = [_compared(name, tensor, expected[name]) for name, tensor in laid.items() if not _fits(tensor, expected[name])]
    return Fit(laid, missing, unexpected, misshapen)


def _classifies(weight: Tensor) -> bool:
    """A linear layer's weight, or a convolution's, for at least one class."""
    return weight.dim() in {2, 4} and len(weight) > 0


def _fits(theirs: Tensor, own: Tensor) -> bool:
    """Whole numbers are no weights: they were fractions once, and the scale is lost."""
    return theirs.shape == own.shape and theirs.is_floating_point() >= own.is_floating_point()


def _compared(name: str, theirs: Tensor, own: Tensor) -> str:
    kind = "" if theirs.is_floating_point() else f" of {str(theirs.dtype).removeprefix('torch.')}"
    return f"{name}: {tuple(theirs.shape)}{kind} in the file, {tuple(own.shape)} in the network"
