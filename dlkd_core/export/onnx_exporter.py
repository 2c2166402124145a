"""ONNX exporter: writes a graph that maps `image` to `logits`.

`image` is (batch, channels, H, W), float32 in [0, 1], RGB if there are 3 channels. The graph
includes the normalization.
"""

from pathlib import Path

import onnx
import onnxruntime
import torch
from torch import Tensor

from dlkd_core.evaluation.accuracy import LogitsFn
from dlkd_core.export.export_context import ExportContext
from dlkd_core.export.tolerance import LogitTolerance


def load_onnx(path: Path) -> LogitsFn:
    """Load an ONNX file with onnxruntime on the CPU, as users would run it.

    Returns:
        A function that maps images (N, C, H, W) in [0, 1] to logits (N, classes).
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def forward(image: Tensor) -> Tensor:
        return torch.from_numpy(session.run(["logits"], {"image": image.cpu().numpy()})[0])

    return forward


class OnnxExporter:
    """Writes and reads `student.onnx`, a single file with weights and a dynamic batch size.

    The class names are part of the model's metadata.
    """

    tolerance = LogitTolerance(1e-3)  # onnxruntime sums in another order
    load = staticmethod(load_onnx)

    def write(self, context: ExportContext, path: Path) -> None:
        """Write the student's ONNX graph."""
        onnx.save(context.onnx_graph, path)
