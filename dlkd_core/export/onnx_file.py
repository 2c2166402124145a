"""The student as an ONNX graph: `image` (batch, 3, H, W) float32 RGB in [0, 1] -> `logits`, the normalisation inside."""

import contextlib
import io
import json
import warnings
from pathlib import Path

import onnx
import onnxruntime
import torch
from torch import Tensor

from dlkd_core.evaluation.accuracy import Forward
from dlkd_core.export.student import Student


class OnnxFile:
    """Writes and reads `student.onnx`."""

    tolerance = 1e-3  # of the largest logit: another runtime sums in another order

    def write(self, student: Student, path: Path) -> None:
        """One file, weights included, dynamic in the batch; labels and architecture in the model's metadata."""
        example = torch.zeros(2, 3, *student.size)
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")  # the exporter warns of its own internals
            program = torch.onnx.export(
                student.deployable(),
                (example,),
                dynamo=True,
                input_names=["image"],
                output_names=["logits"],
                dynamic_shapes={"image": {0: torch.export.Dim("batch")}},
                verbose=False,
            )
        if program is None:
            raise RuntimeError("torch.onnx.export returned no program")
        model = program.model_proto
        onnx.helper.set_model_props(model, {"architecture": student.architecture, "classes": json.dumps(student.classes)})
        onnx.save(model, path)

    def load(self, path: Path) -> Forward:
        """Runs the file by onnxruntime on the CPU."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

        def forward(image: Tensor) -> Tensor:
            return torch.from_numpy(session.run(["logits"], {"image": image.cpu().numpy()})[0])

        return forward
