"""Weights of small networks, and files that hold them."""

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dlkd_core.models import Network, build


def network(architecture: str = "resnet8", classes: int = 10, options: dict[str, Any] | None = None, seed: int = 0) -> Network:
    """A network whose weights and batch statistics are all drawn, in evaluation mode."""
    torch.manual_seed(seed)
    drawn = build(architecture, classes, options)
    for name, tensor in drawn.module.state_dict().items():
        if name.endswith("running_mean"):
            tensor.normal_(0, 0.1)
        elif name.endswith("running_var"):
            tensor.uniform_(0.5, 1.5)
    drawn.module.eval()
    return drawn


def state(architecture: str = "resnet8", classes: int = 10, options: dict[str, Any] | None = None) -> dict[str, Tensor]:
    """Its state dict."""
    return dict(network(architecture, classes, options).module.state_dict())


def saved(path: Path, content: Any, *, legacy: bool = False) -> Path:
    """The content in a file of torch.save."""
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    return path


def headed(path: Path, header: Any, values: bytes = b"", length: int | None = None) -> Path:
    """A safetensors file with that header, as bytes or as JSON; `length` is what it claims of it."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes((len(text) if length is None else length).to_bytes(8, "little") + text + values)
    return path
