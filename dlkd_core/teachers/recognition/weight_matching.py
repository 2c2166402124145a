"""Matching of a checkpoint's weights to a network's parameters."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from dlkd_core.models import Network
from dlkd_core.models.parameter_names import (
    CLASSIFIER_NAMES,
    canonical_name,
    is_auxiliary,
    layer_weights,
    summarize_names,
)


@dataclass(frozen=True)
class WeightMatch:
    """A file's tensors under the network's weight names, and what prevents a strict load."""

    tensors: dict[str, Tensor]
    missing: list[str]
    unexpected: list[str]
    mismatched: list[str]  # "conv1.weight: (64, 3, 7, 7) in the file, (16, 3, 3, 3) in the network"

    @property
    def mismatch_count(self) -> int:
        """Number of names that do not match."""
        return len(self.missing) + len(self.unexpected) + len(self.mismatched)

    def describe(self) -> str:
        """List the first few problems of each kind: `missing 2 (...), unexpected 1 (...)`."""
        problems = {
            "missing": self.missing,
            "unexpected": self.unexpected,
            "of different shape": self.mismatched,
        }
        return ", ".join(
            f"{kind} {summarize_names(names)}" for kind, names in problems.items() if names
        )


def find_classifiers(tensors: Mapping[str, Tensor], classifier: str) -> list[str]:
    """Return the names of the layers in the file that may be the classifier.

    If the file has a layer with the network's own classifier name, it is the only candidate.
    Otherwise, all layers with common classifier names are candidates.
    """
    present = [
        name
        for name in (classifier, *CLASSIFIER_NAMES)
        if f"{name}.weight" in tensors and _is_classifier_weight(tensors[f"{name}.weight"])
    ]
    return present[:1] if classifier in present else present


def match_weights(
    tensors: Mapping[str, Tensor], network: Network, classifier: str | None
) -> WeightMatch:
    """Match the weights in the file to the weights of the network by name.

    `classifier` is the name of the last layer in the file, or None if there is no classifier.
    """
    expected = network.module.state_dict()
    by_canonical_name = {canonical_name(name): name for name in expected}
    renamed = (
        dict(zip(layer_weights(classifier), layer_weights(network.classifier), strict=True))
        if classifier
        else {}
    )
    matched: dict[str, Tensor] = {}
    unexpected = []
    for name, tensor in tensors.items():
        target = renamed.get(name) or by_canonical_name.get(canonical_name(name))
        if target in expected and target not in matched:
            matched[target] = tensor
        elif not is_auxiliary(name):
            unexpected.append(name)
    missing = [name for name, tensor in expected.items() if name not in matched and tensor.is_meta]
    mismatched = [
        _describe_mismatch(name, tensor, expected[name])
        for name, tensor in matched.items()
        if not _is_compatible(tensor, expected[name])
    ]
    return WeightMatch(matched, missing, unexpected, mismatched)


def _is_classifier_weight(weight: Tensor) -> bool:
    """Return whether a weight can be that of a linear or convolutional classifier."""
    return weight.dim() in {2, 4} and len(weight) > 0


def _is_compatible(file_tensor: Tensor, expected: Tensor) -> bool:
    """Return whether the shapes match and floats are not replaced by integers.

    Integers in place of floats are quantized weights, whose scale is unknown.
    """
    return (
        file_tensor.shape == expected.shape
        and file_tensor.is_floating_point() >= expected.is_floating_point()
    )


def _describe_mismatch(name: str, file_tensor: Tensor, expected: Tensor) -> str:
    dtype = str(file_tensor.dtype).removeprefix("torch.")
    suffix = "" if file_tensor.is_floating_point() else f" of {dtype}"
    return (
        f"{name}: {tuple(file_tensor.shape)}{suffix} in the file, "
        f"{tuple(expected.shape)} in the network"
    )
