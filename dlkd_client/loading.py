"""A downloaded student as something that computes: a torch module, or onnxruntime. Each needs its extra, and says so."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import platformdirs

from dlkd_client.errors import MissingExtra

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from torch import nn


class OnnxModel:
    """A graph that onnxruntime runs: called with images it gives logits; `session` is the `InferenceSession`."""

    def __init__(self, path: Path, classes: Sequence[str]) -> None:
        import onnxruntime

        self.path = path
        self.classes = tuple(classes)
        self.session: Any = onnxruntime.InferenceSession(path)

    def __call__(self, images: "npt.NDArray[np.float32]") -> "npt.NDArray[np.float32]":
        """Images (batch, 3, H, W), float32 RGB in [0, 1], to logits (batch, classes)."""
        logits: npt.NDArray[np.float32] = self.session.run(["logits"], {"image": images})[0]
        return logits


def load_onnx(path: Path, classes: Sequence[str]) -> OnnxModel:
    """The graph in the file. `MissingExtra` without onnxruntime."""
    try:
        return OnnxModel(path, classes)
    except ModuleNotFoundError as error:
        raise MissingExtra(f"{error}: install onnxruntime, or dlkd[core], to run ONNX files.") from error


def load_torch(path: Path, classes: Sequence[str]) -> "nn.Module":
    """The network in the safetensors file, in evaluation mode, its normalisation inside. `MissingExtra` without torch."""
    try:
        from dlkd_core.export.safetensors_file import read_student
    except ModuleNotFoundError as error:
        raise MissingExtra(f'{error}: install dlkd[core] to load a torch module, or load(format="onnx").') from error
    student = read_student(path)
    if len(student.classes) != len(classes):
        raise ValueError(f"{path} is of {len(student.classes)} classes, the model of {len(classes)}.")
    return student.deployable()


def cached(sha256: str, suffix: str) -> Path:
    """Where the file of that digest is kept between runs."""
    return Path(platformdirs.user_cache_dir("dlkd")) / "models" / f"{sha256}{suffix}"
