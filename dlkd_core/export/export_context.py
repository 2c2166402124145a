"""State that all exporters of a student share: weights, images and the ONNX graph."""

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

from dlkd_core.data.dataset import DatasetSplit
from dlkd_core.evaluation import predict
from dlkd_core.events import FileExported
from dlkd_core.export.student import Student
from dlkd_core.reporting.model_card import ClassifierState

_CALIBRATION_IMAGES = 512


@dataclass(frozen=True)
class ExportContext:
    """A student to export, on the CPU.

    Attributes:
        student: Weights and metadata of the student.
        train: Split on which the student was trained.
        val: Split on which the student was evaluated.
        report: Report of the run. It is empty until the student has been measured.
        exported_files: Files that have been exported so far.
    """

    student: Student
    train: DatasetSplit
    val: DatasetSplit
    report: dict[str, Any] = field(default_factory=dict)
    exported_files: list[FileExported] = field(default_factory=list)

    @cached_property
    def scored_labels(self) -> Tensor:
        """Labels of the val split, (N,). They are all -1 if the classifier is untrained."""
        untrained = self.report.get("classifier") == ClassifierState.UNTRAINED
        return torch.full_like(self.val.labels, -1) if untrained else self.val.labels

    @cached_property
    def student_logits(self) -> Tensor:
        """The student's logits on the val split, (N, classes)."""
        return predict(self.student.build_deployable(), self.val.images)

    @cached_property
    def calibration_images(self) -> Tensor:
        """A fixed random sample of training images, uint8 (M, C, H, W)."""
        order = torch.randperm(len(self.train), generator=torch.Generator().manual_seed(0))
        return self.train.images[order[:_CALIBRATION_IMAGES]]

    @cached_property
    def onnx_graph(self) -> onnx.ModelProto:
        """The student as a float32 ONNX graph. It is cached, because the export takes seconds."""
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")  # torch's exporter warns about its own internals
            program = torch.onnx.export(
                self.student.build_deployable(),
                (torch.zeros(2, *self.student.image_shape),),
                dynamo=True,
                input_names=["image"],
                output_names=["logits"],
                dynamic_shapes={"image": {0: torch.export.Dim("batch")}},
                verbose=False,
            )
        if program is None:
            raise RuntimeError("torch.onnx.export returned no program")
        return _set_metadata(program.model_proto, self.student)


def _set_metadata(model: onnx.ModelProto, student: Student) -> onnx.ModelProto:
    """Add the student's metadata and remove torch's notes about the origin of each node."""
    for part in (model.graph, *model.graph.node, *model.graph.value_info, *model.graph.initializer):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    metadata = {
        "architecture": student.architecture,
        "classes": json.dumps(student.classes),
        "channels": json.dumps(student.image_shape[0]),
        "size": json.dumps(student.size),
        "resize": student.resize,
    }
    onnx.helper.set_model_props(model, metadata)
    return model
