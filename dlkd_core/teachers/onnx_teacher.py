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
from dlkd_core.teachers.onnx_reader import convert_images
from dlkd_core.teachers.onnx_session import Arrays, GraphFailed, create_session, run_session

_SMALLEST_PROBABILITY = 1e-12


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
        self.register_buffer("mean", torch.tensor(normalization.mean).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(normalization.std).view(1, -1, 1, 1))

    def forward(self, images: Tensor) -> Outputs:
        """Run the graph on images (N, C, H, W), float in [0, 1].

        Raises:
            ImagesDoNotFit: The graph does not take images of this size.
        """
        logits, features, *maps = self._run_graph(self._graph.names, images)
        return Outputs(
            self._to_logits(logits),
            features.flatten(2).mean(2) if features.dim() == 4 else features.flatten(1),
            tuple(maps),
        )

    def logits(self, images: Tensor) -> Tensor:
        """Return only the logits, (N, classes)."""
        return self._to_logits(self._run_graph([self._graph.logits], images)[0])

    def _to_logits(self, output: Tensor) -> Tensor:
        """Convert the graph's output to logits, (N, classes)."""
        output = output.flatten(1)
        if self._graph.num_outputs == 1:  # softmax of (0, x) is sigmoid of x
            return torch.cat([torch.zeros_like(output), output], dim=1)
        if self._graph.has_probabilities:
            return output.clamp_min(_SMALLEST_PROBABILITY).log()
        return output

    def _run_graph(self, names: list[str], images: Tensor) -> list[Tensor]:
        self._check_size(images)
        if self._graph.image.dtype != np.uint8:  # bytes are normalized by the graph
            images = (images - self.mean) / self.std
        size = self._graph.batch_size
        try:
            outputs = [
                self._run_batch(names, self._to_batch(batch, size))
                for batch in torch.split(images, size or len(images))
            ]
        except GraphFailed as error:
            height, width = images.shape[2:]
            raise ImagesDoNotFit(
                f"The ONNX teacher does not run on images of {height} x {width} pixels: {error}.",
                hint="Set dataset.image_size to the size with which the teacher was trained.",
                pointer="/teacher",
            ) from error
        joined = [
            torch.cat([torch.from_numpy(array) for array in arrays])[: len(images)]
            for arrays in zip(*outputs, strict=True)
        ]
        return [tensor.float().to(images.device) for tensor in joined]

    def _run_batch(self, names: list[str], batch: npt.NDArray[np.generic]) -> Arrays:
        arrays = run_session(self._session, names, self._graph.image.name, batch)
        if any(len(array) != len(batch) for array in arrays):
            raise GraphFailed(f"it returns {len(arrays[0])} results for {len(batch)} images")
        return arrays

    def _to_batch(self, images: Tensor, batch_size: int | None) -> npt.NDArray[np.generic]:
        """Convert images to the graph's input, padded to a fixed batch size with the last image."""
        missing = (batch_size or len(images)) - len(images)
        padded = torch.cat([images, images[-1:].expand(missing, -1, -1, -1)]) if missing else images
        return convert_images(padded.cpu().numpy(), self._graph.image, self._graph.format)

    def _check_size(self, images: Tensor) -> None:
        expected, actual = self._graph.image_size, images.shape[2:]
        if any(want not in (None, have) for want, have in zip(expected, actual, strict=True)):
            raise ImagesDoNotFit(
                f"The ONNX teacher takes images of {expected[0]} x {expected[1]} pixels, "
                f"but these images are {' x '.join(str(side) for side in actual)} pixels."
            )


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
            self._sessions[device.type] = create_session(self._graph.model, device)
        return OnnxTeacher(self._graph, self._sessions[device.type], normalization).to(device)
