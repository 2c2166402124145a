"""What a network shows of itself, and the shapes of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor


class Outputs(NamedTuple):
    """One forward pass over N = batch * views images; the views of an image are adjacent, the plainest first."""

    logits: Tensor  # (N, classes)
    features: Tensor  # (N, width): the input of the final classifier, pooled and flattened
    maps: Sequence[Tensor]  # block outputs, shallow to deep, each (N, C, H, W)


class Targets(NamedTuple):
    """What a batch is to learn, one entry an image, whatever its views."""

    labels: Tensor  # (batch,)
    rows: Tensor  # (batch,): the images' places in the training split
    epoch: int = 1  # from 1


@dataclass(frozen=True)
class Shapes:
    """The shapes of `Outputs`, without the first dimension."""

    classes: int
    features: int
    maps: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, outputs: Outputs) -> "Shapes":
        """Measured from one forward pass."""
        return cls(outputs.logits.shape[1], outputs.features.shape[1], tuple(tuple(m.shape[1:]) for m in outputs.maps))
