"""What the exporters share of one student: its weights, images to look at, and its ONNX graph."""

import contextlib
import io
import json
import warnings
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import onnx
import torch
from torch import Tensor

from dlkd_core.data.packed import Split
from dlkd_core.evaluation import logits_of
from dlkd_core.events import FileExported
from dlkd_core.export.student import Student

_CALIBRATION_IMAGES = 512


@dataclass(frozen=True)
class Work:
    """A student to export, on the CPU. `train` and `val` are the splits that it was trained and evaluated on.

    `report` is filled in once the student was measured; `made` are the files that were published so far.
    """

    student: Student
    train: Split
    val: Split
    report: dict[str, Any] = field(default_factory=dict)
    made: list[FileExported] = field(default_factory=list)

    @cached_property
    def labels(self) -> Tensor:
        """Those of the val split that logits can be held against, (N,): all -1 where the classifier is untrained."""
        untrained = self.report.get("classifier") == "untrained"
        return torch.full_like(self.val.labels, -1) if untrained else self.val.labels

    @cached_property
    def expected(self) -> Tensor:
        """The student's own logits on the val split, (N, classes)."""
        return logits_of(self.student.deployable(), self.val.images)

    @cached_property
    def calibration(self) -> Tensor:
        """Some training images, uint8 (M, 3, H, W); always the same."""
        rows = torch.randperm(len(self.train), generator=torch.Generator().manual_seed(0))[:_CALIBRATION_IMAGES]
        return self.train.images[rows]

    @cached_property
    def graph(self) -> onnx.ModelProto:
        """The student as ONNX, in float32: exporting takes seconds, so it is done once."""
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")  # the exporter warns of its own internals
            program = torch.onnx.export(
                self.student.deployable(),
                (torch.zeros(2, 3, *self.student.size),),
                dynamo=True,
                input_names=["image"],
                output_names=["logits"],
                dynamic_shapes={"image": {0: torch.export.Dim("batch")}},
                verbose=False,
            )
        if program is None:
            raise RuntimeError("torch.onnx.export returned no program")
        return _described(program.model_proto, self.student)


def _described(model: onnx.ModelProto, student: Student) -> onnx.ModelProto:
    """With architecture and classes as metadata, and without the exporter's notes on where each node came from."""
    for part in (model.graph, *model.graph.node, *model.graph.value_info, *model.graph.initializer):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    told = {"architecture": student.architecture, "classes": json.dumps(student.classes)}
    onnx.helper.set_model_props(model, {**told, "size": json.dumps(student.size), "resize": student.resize})
    return model
