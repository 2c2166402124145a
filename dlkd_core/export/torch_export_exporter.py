"""Exporter for torch.export programs, which torch can run without this project's code.

See https://docs.pytorch.org/docs/stable/export.html
"""

from pathlib import Path

import torch

from dlkd_core.evaluation.accuracy import LogitsFn
from dlkd_core.export.export_context import ExportContext
from dlkd_core.export.tolerance import LogitTolerance


class TorchExportExporter:
    """Writes and reads `student.pt2`, which includes normalization and has a dynamic batch size."""

    tolerance = LogitTolerance(1e-4)

    def write(self, context: ExportContext, path: Path) -> None:
        """Write the traced program with its weights."""
        example = (torch.zeros(2, *context.student.image_shape),)
        program = torch.export.export(
            context.student.build_deployable(),
            example,
            dynamic_shapes={"image": {0: torch.export.Dim("batch")}},
        )
        torch.export.save(program, path)

    def load(self, path: Path) -> LogitsFn:
        """Load the program as a module."""
        module: LogitsFn = torch.export.load(path).module()
        return torch.inference_mode()(module)
