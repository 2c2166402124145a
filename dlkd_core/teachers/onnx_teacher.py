"""An ONNX graph at work as a teacher: images in, logits, features and maps out, by onnxruntime."""

import numpy as np
import numpy.typing as npt
import onnxruntime
import torch
from torch import Tensor, nn

from dlkd_core.errors import ImagesDoNotFit
from dlkd_core.outputs import Outputs
from dlkd_core.spec import Normalization
from dlkd_core.teachers.onnx_graph import OnnxGraph


class OnnxTeacher(nn.Module):
    """Like `Tapped`, for a graph. It has no parameters, and nothing flows back through it."""

    mean: Tensor
    std: Tensor

    def __init__(self, graph: OnnxGraph, session: onnxruntime.InferenceSession, normalization: Normalization) -> None:
        super().__init__()
        self._graph, self._session = graph, session
        self.register_buffer("mean", torch.tensor(normalization.mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(normalization.std).view(1, 3, 1, 1))

    def forward(self, images: Tensor) -> Outputs:
        """Images (N, 3, H, W), float in [0, 1]; `ImagesDoNotFit` where the graph is made for another size."""
        self._check(images)
        names = [self._graph.logits, self._graph.features, *self._graph.maps]
        logits, features, *maps = self._run(names, (images - self.mean) / self.std)
        return Outputs(logits, features.flatten(2).mean(2) if features.dim() == 4 else features.flatten(1), tuple(maps))

    def logits(self, images: Tensor) -> Tensor:
        """The logits alone, (N, classes)."""
        self._check(images)
        return self._run([self._graph.logits], (images - self.mean) / self.std)[0]

    def _run(self, names: list[str], images: Tensor) -> list[Tensor]:
        parts = torch.split(images, self._graph.batch or len(images))
        shown = [self._session.run(names, {self._graph.image: _filled(part, self._graph.batch)}) for part in parts]
        joined = [torch.cat([torch.from_numpy(one) for one in same])[: len(images)] for same in zip(*shown, strict=True)]
        return [tensor.float().to(images.device) for tensor in joined]

    def _check(self, images: Tensor) -> None:
        wanted = self._graph.size
        if any(side not in (None, own) for side, own in zip(wanted, images.shape[2:], strict=True)):
            sides = " x ".join(str(side) for side in images.shape[2:])
            raise ImagesDoNotFit(f"The ONNX teacher takes images of {wanted[0]} x {wanted[1]} pixels; these have {sides}.")


def _filled(part: Tensor, batch: int | None) -> npt.NDArray[np.float32]:
    """As numpy, and where the graph insists on a batch size, with copies of the last image up to it."""
    missing = (batch or len(part)) - len(part)
    whole = torch.cat([part, part[-1:].expand(missing, -1, -1, -1)]) if missing else part
    return whole.cpu().contiguous().numpy()


class OnnxSource:
    """A graph and its one session, whatever the normalisations that it is tried under."""

    def __init__(self, graph: OnnxGraph) -> None:
        self._graph = graph
        self._sessions: dict[str, onnxruntime.InferenceSession] = {}

    def tapped(self, normalization: Normalization, device: torch.device) -> OnnxTeacher:
        """The graph under that normalisation, on the GPU where onnxruntime's build has one."""
        if device.type not in self._sessions:
            self._sessions[device.type] = self._session(device)
        return OnnxTeacher(self._graph, self._sessions[device.type], normalization).to(device)

    def _session(self, device: torch.device) -> onnxruntime.InferenceSession:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        gpu = ["CUDAExecutionProvider"] if device.type == "cuda" else []
        providers = [name for name in [*gpu, "CPUExecutionProvider"] if name in onnxruntime.get_available_providers()]
        return onnxruntime.InferenceSession(self._graph.model.SerializeToString(), options, providers=providers)
