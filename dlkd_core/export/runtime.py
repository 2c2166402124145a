"""An ONNX file at work, as users will run it: by onnxruntime on the CPU."""

from pathlib import Path

import onnxruntime
import torch
from torch import Tensor

from dlkd_core.evaluation.accuracy import Forward


def onnx_forward(path: Path) -> Forward:
    """Images (N, 3, H, W) in [0, 1] to logits (N, classes)."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def forward(image: Tensor) -> Tensor:
        return torch.from_numpy(session.run(["logits"], {"image": image.cpu().numpy()})[0])

    return forward
