"""The student as a program of torch.export (https://docs.pytorch.org/docs/stable/export.html): torch runs it without our code."""

from pathlib import Path

import torch

from dlkd_core.evaluation.accuracy import Forward
from dlkd_core.export.agreement import CloseLogits
from dlkd_core.export.work import Work


class TorchExportFile:
    """Writes and reads `student.pt2`; the normalisation is inside, and the batch is dynamic."""

    agreement = CloseLogits(1e-4)

    def write(self, work: Work, path: Path) -> None:
        """The traced program with its weights."""
        example = (torch.zeros(2, 3, *work.student.size),)
        program = torch.export.export(
            work.student.deployable(), example, dynamic_shapes={"image": {0: torch.export.Dim("batch")}}
        )
        torch.export.save(program, path)

    def load(self, path: Path) -> Forward:
        """The program as a module."""
        module: Forward = torch.export.load(path).module()
        return torch.inference_mode()(module)
