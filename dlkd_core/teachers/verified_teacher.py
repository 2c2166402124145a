"""Verified teachers: loaded, checked on the evaluation split, and ready for training."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from dlkd_core.catalog import find_architecture
from dlkd_core.catalog.architectures.transformers_networks import (
    describe_size_mismatch,
    is_transformers_network,
)
from dlkd_core.common import compute_sha256
from dlkd_core.data.dataset import ImageDataset
from dlkd_core.errors import ClassesDoNotFit, ImagesDoNotFit, SpecError
from dlkd_core.evaluation import measure_agreement, measure_quality
from dlkd_core.evaluation.accuracy import LogitsFn
from dlkd_core.evaluation.knn_quality import knn_quality
from dlkd_core.models import FeatureExtractor
from dlkd_core.network_outputs import Outputs
from dlkd_core.spec import Normalization, TeacherFile
from dlkd_core.teachers.class_order import match_class_names
from dlkd_core.teachers.knn_verification import verify_by_neighbors
from dlkd_core.teachers.loading import LoadedTeacher, NetworkSource, load_teacher_file
from dlkd_core.teachers.network_choice import choose_network
from dlkd_core.teachers.normalization import identity_normalization
from dlkd_core.teachers.normalization_choice import measure_mismatch, sample_images
from dlkd_core.teachers.onnx.onnx_teacher import OnnxTeacher
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
        network_losses: If the weights fit several networks, the mean loss of each of them on a
            sample of the evaluation images, by name.
    """

    loaded: LoadedTeacher
    verification: Verification
    extractor: FeatureExtractor | OnnxTeacher
    classes: tuple[str, ...]
    class_map: tuple[int, ...] | None
    sha256: str
    network_losses: dict[str, float] = field(default_factory=dict)

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Outputs:
        outputs: Outputs = self.extractor(images)
        if not self.loaded.num_classes:
            return outputs
        return outputs._replace(logits=map_logits(outputs.logits, self.classes, self.class_map))

    @property
    def identity(self) -> str:
        """A string that identifies the network, its weights, normalization and class map."""
        normalization = self.verification.normalization.model_dump_json()
        return f"{self.sha256} {self.loaded.title} {normalization} {self.class_map}"

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

    If the weights fit several networks that compute differently, the best one is used. If no image
    of the dataset has a label, the dataset's classes are those of the teacher (or those
    that `class_map` selects), with placeholder names.

    Raises:
        TeacherError: The checkpoint is unreadable, its architecture is unknown, its image size or
            classes do not match, or it is at chance.
        WeightsUnavailable: The pretrained weights are not in the cache and cannot be downloaded.
    """

    def verify_network(loaded: LoadedTeacher) -> Verification:
        _check_image_size(loaded, data)
        return _verify_teacher(loaded, teacher, data.with_channels(loaded.channels), device)

    def measure_network(loaded: LoadedTeacher, verification: Verification) -> float | None:
        images = sample_images(data.with_channels(loaded.channels).train.images)
        extractor = loaded.source.build_extractor(verification.normalization, device)
        return measure_mismatch(extractor, extractor.logits, images)

    loaded, digest = _load(teacher, data)
    loaded, teacher = _match_classes_by_name(loaded, teacher, data)
    network_losses: dict[str, float] = {}
    if teacher.path and loaded.alternatives:
        chosen = choose_network(loaded, teacher.path, verify_network, measure_network)
        loaded, verification, network_losses = chosen.loaded, chosen.verification, chosen.losses
    else:
        verification = verify_network(loaded)
    verification = compare_with_pixels(verification, data)
    classes = data.classes or default_class_names(verification.logits.shape[1])
    extractor = loaded.source.build_extractor(verification.normalization, device)
    return VerifiedTeacher(
        loaded,
        verification,
        extractor,
        classes,
        verification.class_map,
        digest,
        network_losses,
    )


def _load(teacher: TeacherFile, data: ImageDataset) -> tuple[LoadedTeacher, str]:
    """Load the teacher, and return it with a digest of its file or weights."""
    if teacher.path is None:
        loaded = load_pretrained_teacher(teacher, data)
        return loaded, weights_digest(loaded)
    loaded = load_teacher_file(
        teacher.path,
        architecture=teacher.architecture,
        options=teacher.options or None,
        features=teacher.features,
    )
    return loaded, compute_sha256(teacher.path)


def _match_classes_by_name(
    loaded: LoadedTeacher, teacher: TeacherFile, data: ImageDataset
) -> tuple[LoadedTeacher, TeacherFile]:
    """Set the class map that the names of the teacher's classes state, unless one is requested."""
    found = match_class_names(loaded.class_names, data.classes)
    if teacher.class_map is not None or found in {None, tuple(range(loaded.num_classes))}:
        return loaded, teacher
    notice = (
        "The classes of the teacher's file are those of the dataset in another order. Their names"
        f" give class_map {list(found or ())}."
    )
    loaded = replace(loaded, notices=(*loaded.notices, notice))
    return loaded, teacher.model_copy(update={"class_map": found})


def _check_image_size(loaded: LoadedTeacher, data: ImageDataset) -> None:
    if not loaded.architecture:
        return
    if is_transformers_network(loaded.architecture):
        mismatch = describe_size_mismatch(loaded.architecture, loaded.options, data.image_size)
    else:
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

    def mismatch(normalization: Normalization, images: Tensor) -> float | None:
        extractor = loaded.source.build_extractor(normalization, device)
        return measure_mismatch(extractor, extractor.logits, images)

    def features(normalization: Normalization) -> LogitsFn:
        extractor = loaded.source.build_extractor(normalization, device)
        return lambda images: extractor(images).features

    normalization = _requested_normalization(loaded, teacher)
    if loaded.num_classes:
        arguments = (logits, data, normalization, teacher.class_map, loaded.normalization)
        if data.val.is_labeled:
            return verify(*arguments, mismatch=mismatch)
        return verify_unlabeled(*arguments)
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
