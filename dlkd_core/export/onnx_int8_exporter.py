"""Int8 ONNX exporter: quantizes the graph statically with onnxruntime, in QDQ form.

Weights are quantized per channel. Activations are quantized with ranges that are calibrated on
training images. If quantizing all layers loses too much accuracy, the most sensitive layers, whose
quantization changes the logits the most, are kept in float.

Source: Jacob et al. 2018, https://arxiv.org/abs/1712.05877
"""

import logging
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import onnx
import torch
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from torch import Tensor

from dlkd_core.evaluation import predict
from dlkd_core.export.export_context import ExportContext
from dlkd_core.export.onnx_exporter import load_onnx
from dlkd_core.export.tolerance import AccuracyTolerance

_QUANTIZABLE_OPS = frozenset({"Conv", "Gemm", "MatMul"})
_CALIBRATION_BATCH = 64


class OnnxInt8Exporter:
    """Writes and reads `student.int8.onnx`."""

    tolerance = AccuracyTolerance(0.5)
    load = staticmethod(load_onnx)

    def write(self, context: ExportContext, path: Path) -> None:
        """Write the quantized graph with as few float layers as the tolerance allows.

        The first attempt has no float layers. The next attempts keep the 1, 2, 4, ... most
        sensitive layers in float.
        """
        with TemporaryDirectory(dir=path.parent) as scratch:
            quantizer = _Quantizer(context, Path(scratch))
            quantizer.write(path)
            num_float = 1
            while self._violates_tolerance(context, path) and num_float < len(quantizer.layers):
                quantizer.write(path, keep_float=quantizer.layers_by_sensitivity[:num_float])
                num_float *= 2

    def _violates_tolerance(self, context: ExportContext, path: Path) -> bool:
        logits = predict(load_onnx(path), context.val.images)
        return (
            self.tolerance.find_violation(logits, context.student_logits, context.scored_labels)
            is not None
        )


class _Quantizer:
    def __init__(self, context: ExportContext, scratch: Path) -> None:
        self.context = context
        self.scratch = scratch
        self.prepared = scratch / "prepared.onnx"
        onnx.save(context.onnx_graph, scratch / "float.onnx")
        with _QuietLogging():
            quant_pre_process(scratch / "float.onnx", self.prepared, skip_symbolic_shape=True)
        self.layers = [
            node.name
            for node in onnx.load(self.prepared).graph.node
            if node.op_type in _QUANTIZABLE_OPS
        ]

    def write(self, path: Path, *, keep_float: list[str] | None = None) -> None:
        with _QuietLogging():
            quantize_static(
                self.prepared,
                path,
                _CalibrationReader(self.context.calibration_images),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                weight_type=QuantType.QInt8,
                activation_type=QuantType.QUInt8,
                nodes_to_exclude=keep_float or [],
            )
        _remove_unused_operator_sets(path)

    @cached_property
    def layers_by_sensitivity(self) -> list[str]:
        """Layer names, sorted by how much the logits change if only that layer is quantized.

        The change is measured on the calibration images. The most sensitive layer comes first.
        """
        change = {layer: self._measure_sensitivity(layer) for layer in self.layers}
        return sorted(change, key=lambda layer: change[layer], reverse=True)

    def _measure_sensitivity(self, layer: str) -> float:
        path = self.scratch / "single_layer.onnx"
        self.write(path, keep_float=[name for name in self.layers if name != layer])
        images = self.context.calibration_images
        before, after = predict(load_onnx(self.prepared), images), predict(load_onnx(path), images)
        return (after - before).square().mean().item()


def _remove_unused_operator_sets(path: Path) -> None:
    """Remove the sets that onnxruntime declares in every graph, which other runtimes may reject."""
    model = onnx.load(path)
    used = {"", *(node.domain for node in model.graph.node)}
    operator_sets = [entry for entry in model.opset_import if entry.domain in used]
    del model.opset_import[:]
    model.opset_import.extend(operator_sets)
    onnx.save(model, path)


class _CalibrationReader(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime is untyped
    def __init__(self, images: Tensor) -> None:
        self._batches: Iterator[Tensor] = iter(torch.split(images, _CALIBRATION_BATCH))

    def get_next(self) -> dict[str, Any] | None:
        """Return the next batch as the graph's input, or None at the end."""
        batch = next(self._batches, None)
        return None if batch is None else {"image": (batch.float() / 255).numpy()}


class _QuietLogging:
    """Context manager that hides the advice that the quantizer logs on the root logger."""

    def __enter__(self) -> None:
        self.level = logging.root.level
        logging.root.setLevel(logging.ERROR)

    def __exit__(self, *_: object) -> None:
        logging.root.setLevel(self.level)
