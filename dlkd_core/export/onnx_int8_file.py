"""The ONNX graph in eight bits: static quantisation, weights per channel, activations by calibration on training images.

Jacob et al. 2018, https://arxiv.org/abs/1712.05877; by onnxruntime's quantiser, in its QDQ form. Where all layers in eight bits
lose too much, those that disturb the logits most stay float.
"""

import logging
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import onnx
import torch
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from torch import Tensor

from dlkd_core.evaluation import logits_of
from dlkd_core.evaluation.accuracy import Forward
from dlkd_core.export.agreement import CloseAccuracy
from dlkd_core.export.runtime import onnx_forward
from dlkd_core.export.work import Work

_LAYERS = frozenset({"Conv", "Gemm", "MatMul"})
_BATCH = 64


class OnnxInt8File:
    """Writes and reads `student.int8.onnx`."""

    agreement = CloseAccuracy(0.5)

    def write(self, work: Work, path: Path) -> None:
        """The graph with as few float layers as the promise allows: none, else the 1, 2, 4, ... most sensitive ones."""
        with TemporaryDirectory(dir=path.parent) as scratch:
            quantiser = _Quantiser(work, Path(scratch))
            quantiser.write(path)
            kept = 1
            while self._breaks(work, path) and kept < len(quantiser.layers):
                quantiser.write(path, keep_float=quantiser.most_sensitive()[:kept])
                kept *= 2

    def load(self, path: Path) -> Forward:
        """The file in onnxruntime."""
        return onnx_forward(path)

    def _breaks(self, work: Work, path: Path) -> bool:
        logits = logits_of(onnx_forward(path), work.val.images)
        return self.agreement.broken(logits, work.expected, work.labels) is not None


class _Quantiser:
    def __init__(self, work: Work, scratch: Path) -> None:
        self.work = work
        self.scratch = scratch
        self.prepared = scratch / "prepared.onnx"
        onnx.save(work.graph, scratch / "float.onnx")
        with _quiet():
            quant_pre_process(scratch / "float.onnx", self.prepared, skip_symbolic_shape=True)
        self.layers = [node.name for node in onnx.load(self.prepared).graph.node if node.op_type in _LAYERS]
        self._ranked: list[str] | None = None

    def write(self, path: Path, *, keep_float: list[str] | None = None) -> None:
        with _quiet():
            quantize_static(
                self.prepared,
                path,
                _Reader(self.work.calibration),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                weight_type=QuantType.QInt8,
                activation_type=QuantType.QUInt8,
                nodes_to_exclude=keep_float or [],
            )

    def most_sensitive(self) -> list[str]:
        """The layers by how far they alone, in eight bits, move the logits of the calibration images; the worst first."""
        if self._ranked is None:
            moved = {layer: self._moved_by(layer) for layer in self.layers}
            self._ranked = sorted(moved, key=lambda layer: moved[layer], reverse=True)
        return self._ranked

    def _moved_by(self, layer: str) -> float:
        path = self.scratch / "one.onnx"
        self.write(path, keep_float=[name for name in self.layers if name != layer])
        images = self.work.calibration
        before, after = logits_of(onnx_forward(self.prepared), images), logits_of(onnx_forward(path), images)
        return (after - before).square().mean().item()


class _Reader(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime publishes no types
    def __init__(self, images: Tensor) -> None:
        self._batches: Iterator[Tensor] = iter(torch.split(images, _BATCH))

    def get_next(self) -> dict[str, Any] | None:
        """The next batch as the graph takes it; None at the end."""
        batch = next(self._batches, None)
        return None if batch is None else {"image": (batch.float() / 255).numpy()}


class _quiet:  # noqa: N801 - reads as a verb
    """The quantiser gives advice on the root logger."""

    def __enter__(self) -> None:
        self.level = logging.root.level
        logging.root.setLevel(logging.ERROR)

    def __exit__(self, *_: object) -> None:
        logging.root.setLevel(self.level)
