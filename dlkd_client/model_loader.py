"""Loads downloaded models with torch or onnxruntime, which are optional dependencies."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlkd_client.errors import MissingExtra

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from torch import nn


class OnnxModel:
    """A callable ONNX model. `session` is onnxruntime's `InferenceSession`."""

    def __init__(self, path: Path, classes: Sequence[str]) -> None:
        import onnxruntime

        self.path = path
        self.classes = tuple(classes)
        self.session: Any = onnxruntime.InferenceSession(path)

    def __call__(self, images: "npt.NDArray[np.float32]") -> "npt.NDArray[np.float32]":
        """Return logits (batch, classes) for float32 images (batch, C, H, W) in [0, 1]."""
        logits: npt.NDArray[np.float32] = self.session.run(["logits"], {"image": images})[0]
        return logits


def load_onnx(path: Path, classes: Sequence[str]) -> OnnxModel:
    """Load an ONNX file.

    Raises:
        MissingExtra: onnxruntime is not installed.
    """
    try:
        return OnnxModel(path, classes)
    except ModuleNotFoundError as error:
        raise MissingExtra(
            f"{error}. Install onnxruntime or dlkd[core] to run ONNX files."
        ) from error


def load_torch(path: Path, classes: Sequence[str]) -> "nn.Module":
    """Load a safetensors file as a network in evaluation mode. It normalizes its input.

    Raises:
        MissingExtra: torch is not installed.
    """
    try:
        from dlkd_core.export.safetensors_exporter import read_student
    except ModuleNotFoundError as error:
        raise MissingExtra(
            f'{error}. Install dlkd[core] to load a torch module, or use load(format="onnx").'
        ) from error
    student = read_student(path)
    if len(student.classes) != len(classes):
        raise ValueError(
            f"{path} has {len(student.classes)} classes, but the model has {len(classes)}."
        )
    return student.build_deployable()
