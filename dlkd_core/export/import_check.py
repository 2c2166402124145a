"""Checks an imported model: loads and runs its files, and compares them with its report.

Accuracy cannot be measured, because there are no images. The check verifies that the files contain
networks, that the report describes these networks, and that all files return the same logits.
"""

from collections.abc import Sequence
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor

from dlkd_core.catalog import EXPORTERS, find_architecture
from dlkd_core.catalog.exporters import ExportFormat
from dlkd_core.common import import_target
from dlkd_core.errors import DistillationError, ModelUnfit
from dlkd_core.evaluation.accuracy import LogitsFn
from dlkd_core.export.safetensors_exporter import read_student
from dlkd_core.export.tolerance import LogitTolerance
from dlkd_core.memory_limits import raise_if_out_of_memory
from dlkd_core.models.network import count_parameters
from dlkd_core.reporting.reported_model import ReportedFile, ReportedModel
from dlkd_core.teachers.onnx.onnx_reader import read_graph

# Loading an untrusted torch.export program would execute it. A bundle only repeats other files.
_SKIPPED_FORMATS = frozenset({ExportFormat.TORCH_EXPORT, ExportFormat.BUNDLE})
_IMAGE_COUNT = 2


def check_files(reported: ReportedModel, files: Sequence[ReportedFile]) -> dict[str, Any]:
    """Load and run each file of an imported model, and compare it with the report.

    Returns:
        `{"tried": [names], "left_out": [names]}`: the files that were run and those that were not.

    Raises:
        ModelUnfit: A file does not contain a network, does not match the report, or disagrees with
            the previous files.
    """
    images = torch.rand(
        _IMAGE_COUNT,
        _count_channels(reported),
        *reported.size,
        generator=torch.Generator().manual_seed(0),
    )
    tried, expected = [], None
    for file in sorted(files, key=lambda file: list(EXPORTERS).index(file.format)):
        if file.format in _SKIPPED_FORMATS:
            continue
        try:
            logits = _run_file(reported, file, images)
        except DistillationError:
            raise
        except Exception as error:  # an untrusted file can fail in any way
            raise_if_out_of_memory(error, file.name)
            raise ModelUnfit(
                f"{file.name} cannot be loaded and run: {type(error).__name__}: {error}"
            ) from error
        expected = _check_logits(reported, file, logits, expected)
        tried.append(file.name)
    return {"tried": tried, "left_out": sorted({file.name for file in files} - set(tried))}


def _count_channels(reported: ReportedModel) -> int:
    options = find_architecture(reported.architecture).options
    try:
        return options.model_validate(reported.options).in_channels
    except ValidationError as error:
        raise ModelUnfit(
            f"The report has invalid options of {reported.architecture}:"
            f" {error.errors()[0]['msg']}."
        ) from error


def _run_file(reported: ReportedModel, file: ReportedFile, images: Tensor) -> Tensor:
    if file.format == ExportFormat.SAFETENSORS:
        _check_student(reported, file)
    else:
        read_graph(file.path)  # rejects graphs whose weights are in another file
    forward: LogitsFn = import_target(EXPORTERS[file.format].target)().load(file.path)
    return forward(images)


def _check_student(reported: ReportedModel, file: ReportedFile) -> None:
    """Check that the file's metadata and weights match the report."""
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
    """Check a file's logits against the reference, and return the reference for later files.

    The logits of the first file are the reference.
    """
    if logits.shape != (_IMAGE_COUNT, reported.classes) or not logits.isfinite().all():
        raise ModelUnfit(
            f"{file.name} does not return {reported.classes} finite numbers for an image."
        )
    if expected is None:
        return logits
    tolerance = import_target(EXPORTERS[file.format].target).tolerance
    # The tolerance of int8 files limits the accuracy, which cannot be measured without images.
    if isinstance(tolerance, LogitTolerance):
        violation = tolerance.find_violation(logits, expected, torch.empty(0))
        if violation is not None:
            raise ModelUnfit(
                f"{file.name} does not contain the same network as the other files: it {violation}."
            )
    return expected
