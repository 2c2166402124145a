"""Networks with the weights that their makers publish, from torch's hub cache or the Hugging Face hub's."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pickle import UnpicklingError
from typing import Any

from pydantic import ValidationError
from torch import nn

from dlkd_core.catalog import find_architecture
from dlkd_core.errors import SpecError, WeightsUnavailable
from dlkd_core.models.network import Network
from dlkd_core.resolve import resolve
from dlkd_core.spec import Normalization


@dataclass(frozen=True)
class Pretrained:
    """A network with its weights, the normalisation that they were trained under, and the number of classes they tell apart.

    Those of a backbone tell 0 classes apart: its classifier has one class and was never trained.
    """

    network: Network
    normalization: Normalization
    num_classes: int


def bring(architecture: str, options: Mapping[str, Any] | None = None, *, pointer: str) -> Pretrained:
    """The pretrained network of that catalog name; `pointer` is the field of the spec that asks for it.

    Raises:
        UnknownChoice, SpecError: no such architecture or options, or no published weights for them.
        WeightsUnavailable: neither in the cache nor to be downloaded.
    """
    entry = find_architecture(architecture)
    if entry.weights is None:
        raise SpecError(f"Nobody publishes weights of {architecture}.", hint="Leave pretrained out.", pointer=pointer)
    try:
        checked = entry.options.model_validate(dict(options or {}))
    except ValidationError as error:
        raise SpecError(f"{architecture} has no such options: {error.errors()[0]['msg']}.", pointer=pointer) from error
    with _told(architecture, pointer):
        found: Pretrained = resolve(entry.weights)(architecture, checked)
    return found


def start(architecture: str, num_classes: int, options: Mapping[str, Any] | None = None) -> Pretrained:
    """A student's beginning: the pretrained network with a new classifier, drawn from torch's global generator.

    Raises as `bring` does.
    """
    found = bring(architecture, options, pointer="/student/pretrained")
    network = found.network
    for name in network.classifiers:
        network.module.set_submodule(name, fresh_classifier(network.module.get_submodule(name), num_classes))
    return Pretrained(network, found.normalization, num_classes)


def fresh_classifier(layer: nn.Module, num_classes: int) -> nn.Module:
    """A layer like this one, linear or a convolution, for so many classes."""
    bias = layer.bias is not None
    if isinstance(layer, nn.Linear):
        return nn.Linear(layer.in_features, num_classes, bias)
    if isinstance(layer, nn.Conv2d):
        sides: dict[str, Any] = {"kernel_size": layer.kernel_size, "stride": layer.stride, "padding": layer.padding}
        return nn.Conv2d(layer.in_channels, num_classes, **sides, bias=bias)
    raise SpecError(f"A classifier of type {type(layer).__name__} cannot be made anew.", pointer="/student/pretrained")


@contextmanager
def _told(architecture: str, pointer: str) -> Iterator[None]:
    """The libraries' errors in words: no network, no such file in the cache, weights that are others than announced."""
    try:
        yield
    except OSError as error:  # of urllib, of huggingface_hub and of its HTTP client
        raise WeightsUnavailable(
            f"The pretrained weights of {architecture} are not in the cache and cannot be downloaded: {_brief(error)}.",
            pointer=pointer,
        ) from error
    except (RuntimeError, UnpicklingError) as error:  # another digest, shapes that are not the network's, or more than weights
        raise WeightsUnavailable(
            f"The pretrained weights of {architecture} do not fit: {_brief(error)}.",
            hint="Remove the file from the cache; or leave options out, which the weights may not be made for.",
            pointer=pointer,
        ) from error


def _brief(error: Exception) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".")[:300] or type(error).__name__
