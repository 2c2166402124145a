"""Check of an imported model: its files are loaded and run, and compared with its report.

Without images nothing can be measured. The check shows that the files are networks, that they are
the networks the report describes, and that the files of one model give the same answers.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from dlkd_core.base import import_target
from dlkd_core.catalog import EXPORTERS
from dlkd_core.catalog.exporters import ExportFormat
from dlkd_core.errors import DistillationError, ModelUnfit
from dlkd_core.evaluation.accuracy import LogitsFn
from dlkd_core.export.safetensors_exporter import read_student
from dlkd_core.export.tolerance import LogitTolerance
from dlkd_core.models.network import count_parameters
from dlkd_core.reporting.import_report import ReportedFile, ReportedModel
from dlkd_core.teachers.onnx_graph import read_graph

# Loading a foreign torch.export program would execute it. A bundle only repeats the other files.
_SKIPPED_FORMATS = frozenset({ExportFormat.TORCH_EXPORT, ExportFormat.BUNDLE})
_IMAGE_COUNT = 2


def check_files(reported: ReportedModel, files: Sequence[ReportedFile]) -> dict[str, Any]:
    """Load and run each file.

    Returns:
        `{"tried": [names], "left_out": [names]}`.

    Raises:
        ModelUnfit: A file is not a network, does not match the report, or disagrees with the files
            before it.
    """
    images = torch.rand(_IMAGE_COUNT, 3, *reported.size, generator=torch.Generator().manual_seed(0))
    tried, expected = [], None
    for file in sorted(files, key=lambda file: list(EXPORTERS).index(file.format)):
        if file.format in _SKIPPED_FORMATS:
            continue
        try:
            logits = _run_file(reported, file, images)
        except DistillationError:
            raise
        except Exception as error:  # a foreign file can fail in any way
            raise ModelUnfit(
                f"{file.name} cannot be loaded and run: {type(error).__name__}: {error}"
            ) from error
        expected = _check_logits(reported, file, logits, expected)
        tried.append(file.name)
    return {"tried": tried, "left_out": sorted({file.name for file in files} - set(tried))}


def _run_file(reported: ReportedModel, file: ReportedFile, images: Tensor) -> Tensor:
    if file.format == ExportFormat.SAFETENSORS:
        _check_student(reported, file)
    else:
        read_graph(file.path)  # refuses weights in another file
    forward: LogitsFn = import_target(EXPORTERS[file.format].target)().load(file.path)
    return forward(images)


def _check_student(reported: ReportedModel, file: ReportedFile) -> None:
    """Compare the file's metadata and weights with the report."""
    student = read_student(file.path)
    actual = {
        "architecture": student.architecture,
        "options": dict(student.options),
        "parameters": count_parameters(student.build_network().module),
        "classes": len(student.classes),
        "size": tuple(student.size),
    }
    for name, expected in reported.model_dump().items():
        if actual[name] != expected:
            raise ModelUnfit(
                f"{file.name}: {name} is {actual[name]!r}, but the report says {expected!r}."
            )


def _check_logits(
    reported: ReportedModel, file: ReportedFile, logits: Tensor, expected: Tensor | None
) -> Tensor:
    """Return the logits that later files are compared with: those of the first file."""
    if logits.shape != (_IMAGE_COUNT, reported.classes) or not logits.isfinite().all():
        raise ModelUnfit(
            f"{file.name} does not return {reported.classes} finite numbers for an image."
        )
    if expected is None:
        return logits
    tolerance = import_target(EXPORTERS[file.format].target).tolerance
    # int8 files guarantee an accuracy, which cannot be measured without images
    if isinstance(tolerance, LogitTolerance):
        violation = tolerance.find_violation(logits, expected, torch.empty(0))
        if violation is not None:
            raise ModelUnfit(
                f"{file.name} is not the same network as the other files: it {violation}."
            )
    return expected
