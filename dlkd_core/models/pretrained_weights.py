"""Networks with published weights, cached by torch.hub or the Hugging Face Hub client."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pickle import UnpicklingError
from statistics import fmean
from typing import Any

from pydantic import ValidationError
from torch import nn

from dlkd_core.catalog import find_architecture
from dlkd_core.catalog.architectures.architecture import RGB_CHANNELS
from dlkd_core.common import import_target
from dlkd_core.errors import SpecError, WeightsUnavailable
from dlkd_core.models.input_channels import set_input_channels
from dlkd_core.models.network import Network
from dlkd_core.spec import Normalization


@dataclass(frozen=True)
class PretrainedNetwork:
    """A network with its published weights.

    Args:
        network: the network.
        normalization: the normalization that the weights were trained with.
        num_classes: number of classes of the published classifier, or 0 if only a backbone was
            published. The network then has an untrained placeholder classifier with one class.
    """

    network: Network
    normalization: Normalization
    num_classes: int


def load_pretrained(
    architecture: str, options: Mapping[str, Any] | None = None, *, pointer: str
) -> PretrainedNetwork:
    """Build a network by its catalog name and load its published weights.

    `pointer` is the JSON pointer to the spec field that requests the network.

    Raises:
        UnknownChoice: there is no such architecture.
        SpecError: the architecture has no such options, or no published weights for them.
        WeightsUnavailable: the weights are not in the cache and cannot be downloaded, or do not
            match the network.
    """
    entry = find_architecture(architecture)
    if entry.weights_target is None:
        raise SpecError(
            f"There are no published weights for {architecture}.",
            hint="Omit `pretrained`.",
            pointer=pointer,
        )
    try:
        checked = entry.options.model_validate(dict(options or {}))
    except ValidationError as error:
        raise SpecError(
            f"{architecture} does not accept these options: {error.errors()[0]['msg']}.",
            pointer=pointer,
        ) from error
    with _translate_errors(architecture, pointer):
        published = checked.model_copy(update={"in_channels": RGB_CHANNELS})
        loaded: PretrainedNetwork = import_target(entry.weights_target)(architecture, published)
    if checked.in_channels == RGB_CHANNELS:
        return loaded
    set_input_channels(loaded.network.module, checked.in_channels)
    return replace(
        loaded, normalization=_average_normalization(loaded.normalization, checked.in_channels)
    )


def load_pretrained_student(
    architecture: str, num_classes: int, options: Mapping[str, Any] | None = None
) -> PretrainedNetwork:
    """Load a pretrained network and replace its classifier with a new one.

    The new classifier is initialized with torch's global random generator.

    Raises:
        UnknownChoice: there is no such architecture.
        SpecError: the architecture has no such options, or no published weights for them.
        WeightsUnavailable: the weights are not in the cache and cannot be downloaded, or do not
            match the network.
    """
    pretrained = load_pretrained(architecture, options, pointer="/student/pretrained")
    network = pretrained.network
    for name in network.classifiers:
        old_classifier = network.module.get_submodule(name)
        network.module.set_submodule(name, new_classifier(old_classifier, num_classes))
    return PretrainedNetwork(network, pretrained.normalization, num_classes)


def new_classifier(layer: nn.Module, num_classes: int) -> nn.Module:
    """Return a new linear or convolutional layer like `layer`, but for `num_classes` classes."""
    bias = layer.bias is not None
    if isinstance(layer, nn.Linear):
        return nn.Linear(layer.in_features, num_classes, bias)
    if isinstance(layer, nn.Conv2d):
        geometry: dict[str, Any] = {
            "kernel_size": layer.kernel_size,
            "stride": layer.stride,
            "padding": layer.padding,
        }
        return nn.Conv2d(layer.in_channels, num_classes, **geometry, bias=bias)
    raise SpecError(
        f"The classifier of this architecture is a {type(layer).__name__} and cannot be replaced.",
        pointer="/student/pretrained",
    )


def _average_normalization(normalization: Normalization, channels: int) -> Normalization:
    """Return the mean normalization of red, green and blue for each of the channels."""
    return Normalization(
        mean=(fmean(normalization.mean),) * channels, std=(fmean(normalization.std),) * channels
    )


@contextmanager
def _translate_errors(architecture: str, pointer: str) -> Iterator[None]:
    try:
        yield
    # raised by urllib, and by huggingface_hub and its HTTP client
    except OSError as error:
        raise WeightsUnavailable(
            f"The pretrained weights of {architecture} are not in the cache and cannot be "
            f"downloaded: {_first_line(error)}.",
            pointer=pointer,
        ) from error
    # raised for a wrong digest, mismatched shapes, or a file that contains more than weights
    except (RuntimeError, UnpicklingError) as error:
        raise WeightsUnavailable(
            f"The pretrained weights of {architecture} do not match the network: "
            f"{_first_line(error)}.",
            hint="Delete the cached file so that it is downloaded again, or omit options that the "
            "weights may not support.",
            pointer=pointer,
        ) from error


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".")[:300] or type(error).__name__
