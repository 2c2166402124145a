"""The student as an ONNX graph: `image` (batch, 3, H, W) float32 RGB in [0, 1] -> `logits`, the normalisation inside."""

from pathlib import Path

import onnx

from dlkd_core.evaluation.accuracy import Forward
from dlkd_core.export.agreement import CloseLogits
from dlkd_core.export.runtime import onnx_forward
from dlkd_core.export.work import Work


class OnnxFile:
    """Writes and reads `student.onnx`: one file, weights included, dynamic in the batch; labels in the model's metadata."""

    agreement = CloseLogits(1e-3)  # another runtime sums in another order

    def write(self, work: Work, path: Path) -> None:
        """The graph as it was exported."""
        onnx.save(work.graph, path)

    def load(self, path: Path) -> Forward:
        """The file in onnxruntime."""
        return onnx_forward(path)
