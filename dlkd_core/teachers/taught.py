"""A teacher at work: read, proved on the data, and ready to show its outputs."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dlkd_core.catalog import find_architecture
from dlkd_core.data.packed import Packed
from dlkd_core.errors import ClassesDoNotFit, ImagesDoNotFit
from dlkd_core.evaluation import likeness, quality
from dlkd_core.evaluation.accuracy import Forward
from dlkd_core.evaluation.neighbours import worth
from dlkd_core.export.published import sha256
from dlkd_core.models import Tapped
from dlkd_core.outputs import Outputs
from dlkd_core.spec import Normalization, TeacherFile
from dlkd_core.teachers.load import LoadedTeacher, NetworkSource, load_teacher
from dlkd_core.teachers.neighbours import prove_by_neighbours
from dlkd_core.teachers.onnx_teacher import OnnxTeacher
from dlkd_core.teachers.proof import Proof, mapped, prove
from dlkd_core.teachers.published import digest_of, load_published
from dlkd_core.teachers.unlabelled import classes_of, observe

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
        if not self.loaded.num_classes:
            return outputs
        return outputs._replace(logits=mapped(outputs.logits, self.classes, self.class_map))

    @property
    def identity(self) -> str:
        """What decides its outputs, beside the images and the arithmetic."""
        return f"{self.sha256} {self.proof.normalization.model_dump_json()} {self.class_map}"

    def quality(self, labels: Tensor) -> dict[str, Any]:
        """What it is worth against labels (N,) of the val split: by its logits, or by its features where it has no classifier."""
        known = self.loaded.num_classes > 0
        return quality(self.proof.logits, labels) if known else worth(self.proof.knn_top1, len(labels))

    def likeness(self, logits: Tensor, labels: Tensor) -> dict[str, float]:
        """How far a student's logits (N, classes) on the val split are the teacher's; empty where that has no classifier."""
        if not self.loaded.num_classes:
            return {}
        like = likeness(logits, self.proof.logits)
        return like if (labels < 0).any() else {"agreement": like["agreement"]}

    @property
    def classify(self) -> Callable[[Tensor], Tensor] | None:
        """The frozen classifier: features (N, width) to logits over the data set's classes, with gradient.

        None where no linear layer alone makes its logits of the features: an ONNX graph, SqueezeNet with its convolution, or a
        network whose classifier has companions.
        """
        source = self.loaded.source
        if not self.loaded.num_classes or not isinstance(source, NetworkSource) or source.network.companions:
            return None
        layer = source.network.module.get_submodule(source.network.classifier)
        return (lambda features: mapped(layer(features), self.classes, self.class_map)) if isinstance(layer, nn.Linear) else None


def bring(teacher: TeacherFile, data: Packed, device: torch.device) -> Taught:
    """Reads the checkpoint and proves it on the evaluation split; where that has no labels the classes are the teacher's.

    Raises:
        TeacherError: unreadable, of no known architecture, for images of another size, with other classes, or at chance.
        WeightsUnavailable: published ones that can not be had here.
    """
    loaded = load_published(teacher, data) if teacher.path is None else _load_file(teacher.path, teacher)
    digest = digest_of(loaded) if teacher.path is None else sha256(teacher.path)
    _check_images(loaded, data)
    proof = _proved(loaded, teacher, data, device)
    classes = data.classes or classes_of(proof.logits.shape[1])
    tapped = loaded.source.tapped(proof.normalization, device)
    return Taught(loaded, proof, tapped, classes, teacher.class_map, digest)


def _load_file(path: Path, teacher: TeacherFile) -> LoadedTeacher:
    options = teacher.options or None
    return load_teacher(path, architecture=teacher.architecture, options=options, features=teacher.features)


def _check_images(loaded: LoadedTeacher, data: Packed) -> None:
    wrong = find_architecture(loaded.architecture).misfit(loaded.options, data.size) if loaded.architecture else None
    if wrong:
        raise ImagesDoNotFit(f"{wrong}.", hint="Set dataset.image_size, or bring another teacher.", pointer="/teacher")


def _proved(loaded: LoadedTeacher, teacher: TeacherFile, data: Packed, device: torch.device) -> Proof:
    def logits(normalization: Normalization) -> Forward:
        return loaded.source.tapped(normalization, device).logits

    def features(normalization: Normalization) -> Forward:
        tapped = loaded.source.tapped(normalization, device)
        return lambda images: tapped(images).features

    if loaded.num_classes:
        proved = prove if data.val.labelled else observe
        return proved(logits, data, teacher.normalization, teacher.class_map, loaded.normalization)
    if teacher.class_map is not None:
        raise ClassesDoNotFit(
            "class_map picks among the teacher's classes, and it has none.",
            hint="Leave class_map out: the teacher's features teach.",
            pointer="/teacher/class_map",
        )
    return prove_by_neighbours(features, data, teacher.normalization, loaded.normalization)
