"""Files of a model that was made elsewhere, tried as those that are made here are: loaded back and run, and held to their report.

Without images nothing can be measured: this says that the files are networks, the ones that the report tells of, and that
those of one model answer alike.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from dlkd_core.catalog import EXPORTERS
from dlkd_core.errors import DistillationError, ModelUnfit
from dlkd_core.evaluation.accuracy import Forward
from dlkd_core.export.agreement import CloseLogits
from dlkd_core.export.safetensors_file import read_student
from dlkd_core.resolve import resolve
from dlkd_core.teachers.onnx_graph import read_graph
from dlkd_core.told import ToldFile, ToldModel

_LEFT_OUT = frozenset({"torch_export", "bundle"})  # loading a stranger's program is running it
_IMAGES = 2


def try_files(told: ToldModel, files: Sequence[ToldFile]) -> dict[str, Any]:
    """Loads and runs each file: `{"tried": [names], "left_out": [names]}`.

    Raises:
        ModelUnfit: a file is no network, or not the one of the report, or answers unlike the one before.
    """
    images = torch.rand(_IMAGES, 3, *told.size, generator=torch.Generator().manual_seed(0))
    tried, expected = [], None
    for file in sorted(files, key=lambda file: list(EXPORTERS).index(file.format)):
        if file.format in _LEFT_OUT:
            continue
        try:
            logits = _logits(told, file, images)
        except DistillationError:
            raise
        except Exception as error:  # a stranger's file may be wrong in any way
            raise ModelUnfit(f"{file.name} cannot be loaded and run: {type(error).__name__}: {error}") from error
        expected = _held(told, file, logits, expected)
        tried.append(file.name)
    return {"tried": tried, "left_out": sorted({file.name for file in files} - set(tried))}


def _logits(told: ToldModel, file: ToldFile, images: Tensor) -> Tensor:
    if file.format == "safetensors":
        _check_network(told, file)
    else:
        read_graph(file.path)  # refuses weights in another file
    forward: Forward = resolve(EXPORTERS[file.format].target)().load(file.path)
    return forward(images)


def _check_network(told: ToldModel, file: ToldFile) -> None:
    """Its own words and its weights against the report."""
    student = read_student(file.path)
    parameters = sum(parameter.numel() for parameter in student.network().module.parameters())
    found = (student.architecture, dict(student.options), parameters, len(student.classes), tuple(student.size))
    for word, ours, theirs in zip(ToldModel.model_fields, found, told.model_dump().values(), strict=True):
        if ours != theirs:
            raise ModelUnfit(f"{file.name}: {word} is {ours!r}, and {theirs!r} in the report.")


def _held(told: ToldModel, file: ToldFile, logits: Tensor, expected: Tensor | None) -> Tensor:
    """The answers that the next file is held to: those of the first one."""
    if logits.shape != (_IMAGES, told.classes) or not logits.isfinite().all():
        raise ModelUnfit(f"{file.name} does not answer with {told.classes} numbers for an image.")
    agreement = resolve(EXPORTERS[file.format].target).agreement
    if expected is None or not isinstance(agreement, CloseLogits):  # eight bits promise an accuracy, for which images are needed
        return logits if expected is None else expected
    broken = agreement.broken(logits, expected, torch.empty(0))
    if broken is not None:
        raise ModelUnfit(f"{file.name} is not the same network as the other files: it {broken}.")
    return expected
