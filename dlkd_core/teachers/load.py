"""A teacher's network from its file: read safely, recognised, and put together without ever drawing a weight."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dlkd_core.models import Network
from dlkd_core.models.skeleton import skeleton
from dlkd_core.teachers.read import read_checkpoint
from dlkd_core.teachers.recognise import Recognised, recognise
from dlkd_core.teachers.sniff import Format


@dataclass(frozen=True)
class LoadedTeacher:
    """A network with its checkpoint's weights, in float32 on the CPU; `options` are complete."""

    network: Network
    format: Format
    architecture: str
    options: dict[str, Any]
    num_classes: int
    parameters: int


def load_teacher(
    path: Path,
    *,
    architecture: str | None = None,
    options: Mapping[str, Any] | None = None,
    num_classes: int | None = None,
) -> LoadedTeacher:
    """The network of a checkpoint; what is left out is recognised.

    Raises:
        TeacherError: unreadable, refused, of no known architecture, or not what was said (see `recognise`).
    """
    checkpoint = read_checkpoint(path)
    found = recognise(checkpoint.tensors, architecture=architecture, options=options, num_classes=num_classes)
    network = _assembled(found)
    parameters = sum(parameter.numel() for parameter in network.module.parameters())
    return LoadedTeacher(network, checkpoint.format, found.architecture, found.options, found.num_classes, parameters)


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
    network = skeleton(found.architecture, found.num_classes, found.options)
    weights = {name: _own(tensor) for name, tensor in found.tensors.items()}
    network.module.load_state_dict(weights, assign=True)
    network.module.eval()
    return network


def _own(tensor: Tensor) -> Tensor:
    """A copy of its own, floats in float32: half precision is how it was stored, not how it is run."""
    return tensor.to(torch.float32, copy=True) if tensor.is_floating_point() else tensor.clone()
