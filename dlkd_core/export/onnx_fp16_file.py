"""The ONNX graph in half precision: half the size, the same float32 input and output."""

from pathlib import Path

import onnx
from onnxruntime.transformers.float16 import convert_float_to_float16

from dlkd_core.evaluation.accuracy import Forward
from dlkd_core.export.agreement import CloseLogits
from dlkd_core.export.runtime import onnx_forward
from dlkd_core.export.work import Work


class OnnxFp16File:
    """Writes and reads `student.fp16.onnx`."""

    agreement = CloseLogits(2e-2)  # float16 has ten bits of mantissa, and a network some dozens of roundings in a row

    def write(self, work: Work, path: Path) -> None:
        """Every weight and every operation that has a half-precision form."""
        graph = onnx.ModelProto.FromString(work.graph.SerializeToString())  # the conversion changes what it is given
        onnx.save(convert_float_to_float16(graph, keep_io_types=True), path)

    def load(self, path: Path) -> Forward:
        """The file in onnxruntime."""
        return onnx_forward(path)
