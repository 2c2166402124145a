"""Helpers that make small random networks, state dicts and checkpoint files."""

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dlkd_core.models import Network, build_network


def random_network(
    architecture: str = "resnet8",
    classes: int = 10,
    options: dict[str, Any] | None = None,
    seed: int = 0,
) -> Network:
    """Return a network in evaluation mode, with random weights and batch statistics."""
    torch.manual_seed(seed)
    network = build_network(architecture, classes, options)
    for name, tensor in network.module.state_dict().items():
        if name.endswith("running_mean"):
            tensor.normal_(0, 0.1)
        elif name.endswith("running_var"):
            tensor.uniform_(0.5, 1.5)
    network.module.eval()
    return network


def random_state_dict(
    architecture: str = "resnet8", classes: int = 10, options: dict[str, Any] | None = None
) -> dict[str, Tensor]:
    return dict(random_network(architecture, classes, options).module.state_dict())


def save_torch(path: Path, content: Any, *, legacy: bool = False) -> Path:
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    return path


def write_safetensors(
    path: Path, header: Any, values: bytes = b"", length: int | None = None
) -> Path:
    """Write a safetensors file and return its path.

    `header` is given as bytes or as an object that is encoded as JSON. If `length` is given, the
    file states this header length instead of the real one.
    """
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(
        (len(text) if length is None else length).to_bytes(8, "little") + text + values
    )
    return path
