"""Verified teachers: loaded, checked on the evaluation split, and ready for training."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from dlkd_core.catalog import find_architecture
from dlkd_core.common import compute_sha256
from dlkd_core.data.dataset import ImageDataset
from dlkd_core.errors import ClassesDoNotFit, ImagesDoNotFit, SpecError
from dlkd_core.evaluation import measure_agreement, measure_quality
from dlkd_core.evaluation.accuracy import LogitsFn
from dlkd_core.evaluation.knn_quality import knn_quality
from dlkd_core.models import FeatureExtractor
from dlkd_core.network_outputs import Outputs
from dlkd_core.spec import Normalization, TeacherFile
from dlkd_core.teachers.knn_verification import verify_by_neighbors
from dlkd_core.teachers.loading import LoadedTeacher, NetworkSource, load_teacher_file
from dlkd_core.teachers.normalization import identity_normalization
from dlkd_core.teachers.onnx_teacher import OnnxTeacher
from dlkd_core.teachers.pretrained_teacher import load_pretrained_teacher, weights_digest
from dlkd_core.teachers.unlabeled_verification import default_class_names, verify_unlabeled
from dlkd_core.teachers.verification import (
    Verification,
    compare_with_pixels,
    map_logits,
    verify,
)


@dataclass(frozen=True)
class VerifiedTeacher:
    """A teacher that maps images (N, 3, H, W) to outputs, with logits over the dataset's classes.

    Attributes:
        loaded: The loaded network.
        verification: Results on the evaluation split.
        extractor: The network on the device, with the chosen normalization.
        classes: Class names of the dataset.
        class_map: The teacher's class index for each class of the dataset.
        sha256: Digest of the teacher file, or of the weights if they were loaded by name.
    """

    loaded: LoadedTeacher
    verification: Verification
    extractor: FeatureExtractor | OnnxTeacher
    classes: tuple[str, ...]
    class_map: tuple[int, ...] | None
    sha256: str

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Outputs:
        outputs: Outputs = self.extractor(images)
        if not self.loaded.num_classes:
            return outputs
        return outputs._replace(logits=map_logits(outputs.logits, self.classes, self.class_map))

    @property
    def identity(self) -> str:
        """A string that identifies the weights, the normalization and the class map."""
        return f"{self.sha256} {self.verification.normalization.model_dump_json()} {self.class_map}"

    def measure_quality(self, labels: Tensor) -> dict[str, Any]:
        """Evaluate the teacher on the val split with its labels (N,).

        Uses the teacher's logits, or its features if it has no classifier.
        """
        if self.loaded.num_classes > 0:
            return measure_quality(self.verification.logits, labels)
        return knn_quality(self.verification.knn_top1, len(labels))

    def measure_agreement(self, logits: Tensor, labels: Tensor) -> dict[str, float]:
        """Compare a student's logits (N, classes) on the val split with the teacher's.

        The result is empty if the teacher has no classifier.
        """
        if not self.loaded.num_classes:
            return {}
        metrics = measure_agreement(logits, self.verification.logits)
        return metrics if (labels < 0).any() else {"agreement": metrics["agreement"]}

    @property
    def classifier(self) -> Callable[[Tensor], Tensor] | None:
        """Frozen classifier as a differentiable function from features (N, width) to logits.

        Returns None if the logits are not computed from the features by a single linear layer. This
        is the case for ONNX graphs, for SqueezeNet, which classifies with a convolution, and for
        networks with extra classifiers.
        """
        source = self.loaded.source
        if (
            not self.loaded.num_classes
            or not isinstance(source, NetworkSource)
            or source.network.extra_classifiers
        ):
            return None
        layer = source.network.module.get_submodule(source.network.classifier)
        if not isinstance(layer, nn.Linear):
            return None
        return lambda features: map_logits(layer(features), self.classes, self.class_map)


def load_teacher(teacher: TeacherFile, data: ImageDataset, device: torch.device) -> VerifiedTeacher:
    """Load the teacher and verify it on the evaluation split.

    If no image of the dataset has a label, the dataset's classes are those of the teacher (or those
    that `class_map` selects), with placeholder names.

    Raises:
        TeacherError: The checkpoint is unreadable, its architecture is unknown, its image size or
            classes do not match, or it is at chance.
        WeightsUnavailable: The pretrained weights are not in the cache and cannot be downloaded.
    """
    if teacher.path is None:
        loaded = load_pretrained_teacher(teacher, data)
        digest = weights_digest(loaded)
    else:
        loaded = load_teacher_file(
            teacher.path,
            architecture=teacher.architecture,
            options=teacher.options or None,
            features=teacher.features,
        )
        digest = compute_sha256(teacher.path)
    _check_image_size(loaded, data)
    data = data.with_channels(loaded.channels)
    verification = compare_with_pixels(_verify_teacher(loaded, teacher, data, device), data)
    classes = data.classes or default_class_names(verification.logits.shape[1])
    extractor = loaded.source.build_extractor(verification.normalization, device)
    return VerifiedTeacher(loaded, verification, extractor, classes, verification.class_map, digest)


def _check_image_size(loaded: LoadedTeacher, data: ImageDataset) -> None:
    if not loaded.architecture:
        return
    entry = find_architecture(loaded.architecture)
    mismatch = entry.describe_size_mismatch(loaded.options, data.image_size)
    if mismatch:
        raise ImagesDoNotFit(
            f"{mismatch}.",
            hint="Set dataset.image_size or use another teacher.",
            pointer="/teacher",
        )


def _verify_teacher(
    loaded: LoadedTeacher, teacher: TeacherFile, data: ImageDataset, device: torch.device
) -> Verification:
    def logits(normalization: Normalization) -> LogitsFn:
        return loaded.source.build_extractor(normalization, device).logits

    def features(normalization: Normalization) -> LogitsFn:
        extractor = loaded.source.build_extractor(normalization, device)
        return lambda images: extractor(images).features

    normalization = _requested_normalization(loaded, teacher)
    if loaded.num_classes:
        verify_logits = verify if data.val.is_labeled else verify_unlabeled
        return verify_logits(logits, data, normalization, teacher.class_map, loaded.normalization)
    if teacher.class_map is not None:
        raise ClassesDoNotFit(
            "class_map selects among the teacher's classes, but this teacher has no classifier.",
            hint="Omit class_map. The student then learns from the teacher's features.",
            pointer="/teacher/class_map",
        )
    return verify_by_neighbors(features, data, normalization, loaded.normalization)


def _requested_normalization(loaded: LoadedTeacher, teacher: TeacherFile) -> Normalization | None:
    """Return the only normalization to try, or None to try several.

    Raises:
        SpecError: The normalization in the spec cannot be applied.
    """
    requested = teacher.normalization
    if loaded.takes_bytes:
        if requested:
            raise SpecError(
                "The ONNX graph takes bytes (uint8), to which no normalization can be applied.",
                hint="Omit normalization.",
                pointer="/teacher/normalization",
            )
        return identity_normalization(loaded.channels)
    if requested and len(requested.mean) != loaded.channels:
        raise SpecError(
            f"The normalization has {len(requested.mean)} values, but the teacher takes images with"
            f" {loaded.channels} channels.",
            hint="State one mean and one std per channel, or omit normalization.",
            pointer="/teacher/normalization",
        )
    return requested
