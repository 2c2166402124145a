"""Half-precision ONNX exporter. The file is half as large; input and output stay float32."""

from pathlib import Path

import onnx
from onnxruntime.transformers.float16 import convert_float_to_float16
from onnxruntime.transformers.onnx_model import OnnxModel

from dlkd_core.export.export_context import ExportContext
from dlkd_core.export.onnx_exporter import load_onnx
from dlkd_core.export.tolerance import LogitTolerance


class OnnxFp16Exporter:
    """Writes and reads `student.fp16.onnx`."""

    # float16 has a ten-bit mantissa, and values are rounded dozens of times in a forward pass.
    tolerance = LogitTolerance(2e-2)
    load = staticmethod(load_onnx)

    def write(self, context: ExportContext, path: Path) -> None:
        """Write the graph, with weights and operations in half precision wherever possible."""
        # The graph is copied, because the conversion modifies its argument.
        graph = onnx.ModelProto.FromString(context.onnx_graph.SerializeToString())
        model = OnnxModel(convert_float_to_float16(graph, keep_io_types=True))
        # The conversion appends casts behind the nodes that use them, which ONNX does not allow.
        model.topological_sort()
        onnx.save(model.model, path)
