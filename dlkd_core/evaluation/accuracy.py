"""Compares logits with labels."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from math import prod

import torch
from torch import Tensor
from torch.nn import functional

from dlkd_core.data.dataset import DatasetSplit
from dlkd_core.data.host_images import Images

_MAX_BATCH_SIZE, _MIN_BATCH_SIZE, _PIXELS_PER_BATCH = 256, 16, 2**20

# Maps images (N, 3, H, W), float in [0, 1], to logits (N, classes).
LogitsFn = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Scores:
    """Accuracies in [0, 1], and `nll`, the mean negative log-likelihood in nats."""

    top1: float
    top5: float
    nll: float
    images: int

    def to_dict(self) -> dict[str, float]:
        """Return the scores as plain data."""
        return asdict(self)


@torch.inference_mode()
def predict(forward: LogitsFn, images: Images, rows: slice = slice(None)) -> Tensor:
    """Compute a network's logits for uint8 images (N, 3, H, W), or for a slice of them.

    Returns:
        Logits (N, classes) on the CPU.
    """
    start, stop, _ = rows.indices(len(images))
    # The batch size depends on the image size, to limit activations to a few hundred megabytes.
    step = min(_MAX_BATCH_SIZE, max(_MIN_BATCH_SIZE, _PIXELS_PER_BATCH // prod(images.shape[2:])))
    batches = (images[at : min(at + step, stop)] for at in range(start, stop, step))
    logits = [forward(batch.float().div_(255)).float().cpu() for batch in batches]
    return torch.cat(logits) if logits else forward(images[:1].float().div_(255)).float().cpu()[:0]


def score_network(forward: LogitsFn, split: DatasetSplit) -> Scores:
    """Score a network's predictions on a split."""
    return score_logits(predict(forward, split.images), split.labels.cpu())


def score_logits(logits: Tensor, labels: Tensor) -> Scores:
    """Score logits (N, classes) against labels (N,)."""
    best = logits.topk(min(5, logits.shape[1]), dim=1).indices
    hits = best == labels[:, None]
    return Scores(
        top1=hits[:, 0].double().mean().item(),
        top5=hits.any(dim=1).double().mean().item(),
        nll=functional.cross_entropy(logits.double(), labels).item(),
        images=len(labels),
    )
