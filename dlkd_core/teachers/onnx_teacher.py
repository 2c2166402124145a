"""ONNX graphs as teachers, run by onnxruntime."""

import numpy as np
import numpy.typing as npt
import onnxruntime
import torch
from torch import Tensor, nn

from dlkd_core.errors import ImagesDoNotFit
from dlkd_core.network_outputs import Outputs
from dlkd_core.spec import Normalization
from dlkd_core.teachers.onnx_graph import OnnxGraph


class OnnxTeacher(nn.Module):
    """Counterpart of `FeatureExtractor` for an ONNX graph.

    It has no parameters, and no gradient flows through it.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, graph: OnnxGraph, session: onnxruntime.InferenceSession, normalization: Normalization
    ) -> None:
        super().__init__()
        self._graph, self._session = graph, session
        self.register_buffer("mean", torch.tensor(normalization.mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(normalization.std).view(1, 3, 1, 1))

    def forward(self, images: Tensor) -> Outputs:
        """Run the graph on images (N, 3, H, W), float in [0, 1].

        Raises:
            ImagesDoNotFit: The graph has a fixed input size that differs from the image size.
        """
        self._check_size(images)
        names = [self._graph.logits, self._graph.features, *self._graph.maps]
        logits, features, *maps = self._run_graph(names, (images - self.mean) / self.std)
        return Outputs(
            logits,
            features.flatten(2).mean(2) if features.dim() == 4 else features.flatten(1),
            tuple(maps),
        )

    def logits(self, images: Tensor) -> Tensor:
        """Return only the logits, (N, classes)."""
        self._check_size(images)
        return self._run_graph([self._graph.logits], (images - self.mean) / self.std)[0]

    def _run_graph(self, names: list[str], images: Tensor) -> list[Tensor]:
        batches = torch.split(images, self._graph.batch_size or len(images))
        outputs = [
            self._session.run(names, {self._graph.image: _pad_batch(batch, self._graph.batch_size)})
            for batch in batches
        ]
        joined = [
            torch.cat([torch.from_numpy(array) for array in arrays])[: len(images)]
            for arrays in zip(*outputs, strict=True)
        ]
        return [tensor.float().to(images.device) for tensor in joined]

    def _check_size(self, images: Tensor) -> None:
        expected, actual = self._graph.image_size, images.shape[2:]
        if any(want not in (None, have) for want, have in zip(expected, actual, strict=True)):
            raise ImagesDoNotFit(
                f"The ONNX teacher takes images of {expected[0]} x {expected[1]} pixels, "
                f"but these images are {' x '.join(str(side) for side in actual)} pixels."
            )


def _pad_batch(images: Tensor, batch_size: int | None) -> npt.NDArray[np.float32]:
    """Convert images to NumPy, padded to a fixed batch size with copies of the last image."""
    missing = (batch_size or len(images)) - len(images)
    padded = torch.cat([images, images[-1:].expand(missing, -1, -1, -1)]) if missing else images
    return padded.cpu().contiguous().numpy()


class OnnxSource:
    """A graph and its onnxruntime sessions, one per device type.

    Teachers on the same device type share a session, whatever their normalization.
    """

    def __init__(self, graph: OnnxGraph) -> None:
        self._graph = graph
        self._sessions: dict[str, onnxruntime.InferenceSession] = {}

    def build_extractor(self, normalization: Normalization, device: torch.device) -> OnnxTeacher:
        """Return the teacher, on the GPU if the installed onnxruntime supports it."""
        if device.type not in self._sessions:
            self._sessions[device.type] = self._create_session(device)
        return OnnxTeacher(self._graph, self._sessions[device.type], normalization).to(device)

    def _create_session(self, device: torch.device) -> onnxruntime.InferenceSession:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        gpu = ["CUDAExecutionProvider"] if device.type == "cuda" else []
        providers = [
            name
            for name in [*gpu, "CPUExecutionProvider"]
            if name in onnxruntime.get_available_providers()
        ]
        return onnxruntime.InferenceSession(
            self._graph.model.SerializeToString(), options, providers=providers
        )
