"""A teacher's network from its file: read safely, recognised, and put together without ever drawing a weight."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn

from dlkd_core.errors import KeysDoNotFit
from dlkd_core.models import Network, Tapped
from dlkd_core.models.skeleton import skeleton
from dlkd_core.models.tapped import Headless
from dlkd_core.spec import Normalization
from dlkd_core.teachers.onnx_graph import read_graph
from dlkd_core.teachers.onnx_teacher import OnnxSource, OnnxTeacher
from dlkd_core.teachers.read import format_of, read_checkpoint
from dlkd_core.teachers.recognise import Recognised, check_classes, recognise
from dlkd_core.teachers.sniff import Format


class Source(Protocol):
    """Something that can be shown images, once a normalisation is chosen."""

    def tapped(self, normalization: Normalization, device: torch.device) -> Tapped | OnnxTeacher:
        """Plain images in [0, 1] to `Outputs`, on the device, frozen."""


@dataclass(frozen=True)
class NetworkSource:
    """A network of the catalog with its weights; `headless` where its classifier is not the checkpoint's."""

    network: Network
    headless: bool = False

    def tapped(self, normalization: Normalization, device: torch.device) -> Tapped:
        """The network itself, wrapped: several wraps of it do not disturb each other."""
        self.network.module.to(device).to(memory_format=torch.channels_last)
        wrapped = Headless if self.headless else Tapped
        return wrapped(self.network, normalization.mean, normalization.std).eval().to(device)


@dataclass(frozen=True)
class LoadedTeacher:
    """What a file holds; floats in float32. `architecture` is None for an ONNX graph; `options` are complete.

    A network without a classifier has 0 classes. `normalization` is what the makers of published weights say of them.
    """

    source: Source
    format: Format | Literal["pretrained"]
    architecture: str | None
    options: dict[str, Any]
    num_classes: int
    parameters: int
    notices: tuple[str, ...] = ()
    normalization: Normalization | None = None

    @property
    def title(self) -> str:
        """What it is, for people."""
        return self.architecture or "ONNX graph"


def load_teacher(
    path: Path,
    *,
    architecture: str | None = None,
    options: Mapping[str, Any] | None = None,
    num_classes: int | None = None,
    features: str | None = None,
) -> LoadedTeacher:
    """The network of a checkpoint, or an ONNX graph; what is left out is recognised.

    Raises:
        TeacherError: unreadable, refused, of no known architecture, or not what was said (see `recognise`).
    """
    if format_of(path) == "onnx":
        return _graph(path, architecture, num_classes, features)
    checkpoint = read_checkpoint(path)
    found = recognise(checkpoint.tensors, architecture=architecture, options=options, num_classes=num_classes)
    network = _assembled(found)
    return LoadedTeacher(
        NetworkSource(network, headless=found.num_classes == 0),
        checkpoint.format,
        found.architecture,
        found.options,
        found.num_classes,
        count(network, headless=found.num_classes == 0),
        found.notices,
    )


def count(network: Network, *, headless: bool) -> int:
    """The parameters, without those of a classifier that is not the teacher's."""
    left_out = [network.module.get_submodule(name) for name in network.classifiers] if headless else []
    return _numbers(network.module) - sum(map(_numbers, left_out))


def _numbers(module: nn.Module) -> int:
    return sum(one.numel() for one in module.parameters())


def _graph(path: Path, architecture: str | None, num_classes: int | None, features: str | None) -> LoadedTeacher:
    if architecture is not None:
        raise KeysDoNotFit(
            f"An ONNX graph is a network of its own, not a {architecture} of the catalog.",
            hint="Leave the architecture out.",
            pointer="/teacher/architecture",
        )
    graph = read_graph(path, features)
    check_classes(graph.num_classes, num_classes)
    return LoadedTeacher(OnnxSource(graph), "onnx", None, {}, graph.num_classes, graph.parameters)


def inspect_teacher(path: Path, architecture: str | None = None, num_classes: int | None = None) -> dict[str, Any]:
    """The check of an uploaded checkpoint: what it is, as plain data. Raises as `load_teacher` does."""
    loaded = load_teacher(path, architecture=architecture, num_classes=num_classes)
    return {
        "format": loaded.format,
        "architecture": loaded.architecture,
        "options": loaded.options,
        "num_classes": loaded.num_classes,
        "parameters": loaded.parameters,
    }


def _assembled(found: Recognised) -> Network:
    network = skeleton(found.architecture, found.num_classes or 1, found.options)
    weights = {name: _own(tensor) for name, tensor in found.tensors.items()}
    network.module.load_state_dict(weights, assign=True)
    network.module.eval().requires_grad_(requires_grad=False)
    return network


def _own(tensor: Tensor) -> Tensor:
    """A copy of its own, floats in float32: half precision is how it was stored, not how it is run."""
    return tensor.to(torch.float32, copy=True) if tensor.is_floating_point() else tensor.clone()
