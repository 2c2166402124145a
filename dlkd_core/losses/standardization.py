"""Logit standardization: Sun et al. 2024, https://arxiv.org/abs/2403.01427.

The implementation matches https://github.com/sunshangquan/logit-standardization-KD.
"""

from torch import Tensor

from dlkd_core.catalog.loss_params import MIN_STANDARDIZED_CLASSES
from dlkd_core.errors import SpecError
from dlkd_core.losses.base_loss import LossContext

_EPSILON = 1e-7  # added to the standard deviation, as in the published code


def standardize_logits(logits: Tensor) -> Tensor:
    """Return the z-score of each row of logits (N, classes)."""
    mean, std = logits.mean(dim=1, keepdim=True), logits.std(dim=1, keepdim=True)
    return (logits - mean) / (std + _EPSILON)


def check_standardizable(context: LossContext) -> None:
    """Check that there are at least three classes.

    The z-scores of two logits are the same for all images on which the larger logit is the same.

    Raises:
        SpecError: there are fewer than three classes.
    """
    classes = context.student_shapes.classes
    if classes < MIN_STANDARDIZED_CLASSES:
        raise SpecError(
            f"Standardized logits need at least three classes, but the dataset has {classes}. "
            "With two classes, the standardized logits only say which class is more likely.",
            hint="Set standardize to false.",
            pointer="/method",
        )
