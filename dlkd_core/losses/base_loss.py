"""The base class of loss terms, the context they are built from, and functions they share."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from dlkd_core.errors import ClassesDoNotFit, SpecError
from dlkd_core.network_outputs import Outputs, OutputShapes, Targets


@dataclass(frozen=True)
class LossContext:
    """The properties of a run that a loss term is built from.

    Args:
        student_shapes: shapes of the student's outputs.
        teacher_shapes: shapes of the teacher's outputs, or None in a run without a teacher.
        num_classes: number of classes in the dataset.
        num_views: number of views per image. An image's views are adjacent in the batch, starting
            with the least augmented one.
        num_images: number of images in the training split.
        labels: labels of the training split, (num_images,).
        sample_teacher: runs the teacher on a sample of the training images, without augmentation,
            and yields its outputs batch by batch.
        label_smoothing: probability that the cross-entropy spreads evenly over all classes.
        teacher_classifier: the teacher's own classifier, from pooled features (N, width) to logits
            (N, classes). None if the teacher does not expose it.
    """

    student_shapes: OutputShapes
    teacher_shapes: OutputShapes | None
    num_classes: int
    num_views: int
    num_images: int
    labels: Tensor | None = None
    teacher_classifier: Callable[[Tensor], Tensor] | None = None
    sample_teacher: Callable[[], Iterator[Outputs]] = lambda: iter(())
    label_smoothing: float = 0.0

    def require_teacher(self) -> OutputShapes:
        """Return the shapes of the teacher's outputs.

        Raises:
            ValueError: the run has no teacher.
        """
        if self.teacher_shapes is None:
            raise ValueError("This loss term needs a teacher, but the run has none.")
        return self.teacher_shapes


class DistillationLoss(nn.Module):
    """A loss term. It compares the outputs of two networks and owns the heads that it trains.

    Subclasses are constructed as `Loss(params, context)`.
    """

    def __init__(self, params: Any, context: LossContext) -> None:
        super().__init__()
        self.params = params
        self.context = context

    def forward(self, student: Outputs, teacher: Outputs, targets: Targets) -> Tensor:
        """Return the loss, a scalar.

        Args:
            student: outputs for batch * views rows.
            teacher: outputs for the same rows, without gradient. None in a run without a teacher,
                so a term that needs a teacher calls `context.require_teacher()` when it is built.
            targets: label and index of each image, (batch,).
        """
        raise NotImplementedError(type(self).__name__)


def require_teacher_classifier(context: LossContext, term: str) -> Callable[[Tensor], Tensor]:
    """Return the teacher's classifier, which the term `term` needs.

    The classifier must not be an attribute of the loss term, because the parameters of a term are
    trained and saved.

    Raises:
        SpecError: the teacher exposes no linear classifier.
    """
    if context.teacher_classifier is None:
        raise SpecError(
            f"The term {term} needs the teacher's own linear classifier, but this teacher exposes"
            " none.",
            hint="Use a teacher with a catalog architecture instead of an ONNX graph, or use the"
            " method dlkd or crd.",
            pointer="/method",
        )
    return context.teacher_classifier


def check_same_classes(context: LossContext) -> None:
    """Check that student and teacher have the same number of logits.

    Raises:
        ClassesDoNotFit: the numbers differ.
    """
    student, teacher = context.student_shapes.classes, context.require_teacher().classes
    if student != teacher:
        raise ClassesDoNotFit(f"The teacher has {teacher} logits, but the student has {student}.")


def check_several_views(context: LossContext) -> None:
    """Check that there are several views of each image.

    Raises:
        SpecError: there is one view per image.
    """
    if context.num_views < 2:
        raise SpecError(
            "The method compares several views of an image, but there is one per image.",
            hint="Set method.views to rotation4 or moco.",
            pointer="/method/views",
        )


def group_by_image(rows: Tensor, num_views: int) -> Tensor:
    """Reshape rows (batch * views, ...) to (batch, views, ...).

    Raises:
        ValueError: the number of rows is not a multiple of the number of views.
    """
    if rows.shape[0] % num_views:
        raise ValueError(
            f"{rows.shape[0]} rows cannot be divided into images with {num_views} views each"
        )
    return rows.reshape(-1, num_views, *rows.shape[1:])


def first_view(rows: Tensor, num_views: int) -> Tensor:
    """Return the rows of each image's first view, the least augmented one, (batch, ...)."""
    return group_by_image(rows, num_views)[:, 0]


def other_views(rows: Tensor, num_views: int) -> Tensor:
    """Return the rows of all views except each image's first, (batch * (views - 1), ...)."""
    return group_by_image(rows, num_views)[:, 1:].flatten(0, 1)


def view_cosines(rows: Tensor, num_views: int) -> Tensor:
    """Return the cosine between each later view (row) and each image's first view (column)."""
    units = F.normalize(rows, dim=-1)
    return other_views(units, num_views) @ first_view(units, num_views).T


def softened_kl_divergence(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Return KL( softmax(teacher / T) || softmax(student / T) ), averaged over rows."""
    log_p = F.log_softmax(teacher / temperature, dim=1)
    log_q = F.log_softmax(student / temperature, dim=1)
    return F.kl_div(log_q, log_p, reduction="batchmean", log_target=True)


def sum_losses(losses: Iterable[Tensor]) -> Tensor:
    """Return the sum of one or more losses."""
    first, *others = losses
    return sum(others, start=first)
