"""Outputs of a forward pass, their shapes, and the targets of a batch."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor


class Outputs(NamedTuple):
    """Outputs of one forward pass over N = batch * views images.

    The views of an image are adjacent, starting with the least augmented one.
    """

    logits: Tensor  # (N, classes)
    features: Tensor  # (N, width): the input of the final classifier, pooled and flattened
    feature_maps: Sequence[Tensor]  # block outputs, shallow to deep, each (N, C, H, W)


ForwardFn = Callable[[Tensor], Outputs]  # maps images (N, 3, H, W) in [0, 1]


class Targets(NamedTuple):
    """Targets of a batch: one entry per image, regardless of its number of views."""

    labels: Tensor  # (batch,)
    indices: Tensor  # (batch,): positions of the images in the training split
    epoch: int = 1  # counted from 1
    # If the images are mixed with others: the labels of the other images, and each image's own
    # share, both (batch,).
    other_labels: Tensor | None = None
    shares: Tensor | None = None

    def slice(self, start: int, stop: int) -> "Targets":
        """Return the targets of a part of the batch."""
        rows = slice(start, stop)
        return Targets(
            self.labels[rows],
            self.indices[rows],
            self.epoch,
            None if self.other_labels is None else self.other_labels[rows],
            None if self.shares is None else self.shares[rows],
        )


@dataclass(frozen=True)
class OutputShapes:
    """Shapes of `Outputs` without the batch dimension."""

    classes: int
    features: int
    feature_maps: tuple[tuple[int, ...], ...]

    @classmethod
    def from_outputs(cls, outputs: Outputs) -> "OutputShapes":
        """Return the shapes of the outputs of a forward pass."""
        return cls(
            outputs.logits.shape[1],
            outputs.features.shape[1],
            tuple(tuple(feature_map.shape[1:]) for feature_map in outputs.feature_maps),
        )
