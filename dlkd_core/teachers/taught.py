"""A teacher at work: read, proved on the data, and ready to show its outputs."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dlkd_core.data.packed import Packed
from dlkd_core.evaluation.accuracy import Forward
from dlkd_core.export.published import sha256
from dlkd_core.models import Tapped
from dlkd_core.outputs import Outputs
from dlkd_core.spec import Normalization, TeacherFile
from dlkd_core.teachers.load import LoadedTeacher, NetworkSource, load_teacher
from dlkd_core.teachers.onnx_teacher import OnnxTeacher
from dlkd_core.teachers.proof import Proof, mapped, prove

NOBODY = Outputs(torch.empty(0), torch.empty(0), ())  # what a run without a teacher is shown


@dataclass(frozen=True)
class Taught:
    """Called with images (N, 3, H, W) it gives the teacher's outputs, its logits over the data set's classes."""

    loaded: LoadedTeacher
    proof: Proof
    tapped: Tapped | OnnxTeacher
    classes: tuple[str, ...]
    class_map: tuple[int, ...] | None
    sha256: str

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Outputs:
        outputs: Outputs = self.tapped(images)
        return outputs._replace(logits=mapped(outputs.logits, self.classes, self.class_map))

    @property
    def classify(self) -> Callable[[Tensor], Tensor] | None:
        """The frozen classifier: features (N, width) to logits over the data set's classes, with gradient.

        None where the network has none that is linear: an ONNX graph, or SqueezeNet with its convolution.
        """
        source = self.loaded.source
        layer = source.network.module.get_submodule(source.network.classifier) if isinstance(source, NetworkSource) else None
        return (lambda features: mapped(layer(features), self.classes, self.class_map)) if isinstance(layer, nn.Linear) else None


def bring(teacher: TeacherFile, data: Packed, device: torch.device) -> Taught:
    """Reads the checkpoint and proves it on the evaluation split.

    Raises:
        TeacherError: unreadable, of no known architecture, with other classes, or at chance.
    """
    loaded = load_teacher(
        teacher.path, architecture=teacher.architecture, options=teacher.options or None, features=teacher.features
    )

    def logits(normalization: Normalization) -> Forward:
        return loaded.source.tapped(normalization, device).logits

    proof = prove(logits, data, teacher.normalization, teacher.class_map)
    tapped = loaded.source.tapped(proof.normalization, device)
    return Taught(loaded, proof, tapped, data.classes, teacher.class_map, sha256(teacher.path))
