"""Accuracy of logits against labels."""

from collections.abc import Callable
from dataclasses import asdict, dataclass

import torch
from torch import Tensor
from torch.nn import functional

from dlkd_core.data.host_images import Images
from dlkd_core.data.packed import Split

_MOST_IMAGES, _FEWEST_IMAGES, _PIXELS = 256, 16, 2**20  # at once

Forward = Callable[[Tensor], Tensor]  # images (N, 3, H, W) float in [0, 1] -> logits (N, classes)


@dataclass(frozen=True)
class Scores:
    """Shares in [0, 1]; `nll` is the mean negative log-likelihood in nats."""

    top1: float
    top5: float
    nll: float
    images: int

    def facts(self) -> dict[str, float]:
        """As plain data."""
        return asdict(self)


@torch.inference_mode()
def logits_of(forward: Forward, images: Images, rows: slice = slice(None)) -> Tensor:
    """Logits (N, classes), on the CPU, of uint8 images (N, 3, H, W), or of a contiguous part of them."""
    first, last, _ = rows.indices(len(images))
    step = _batch_size(images)
    parts = (images[at : min(at + step, last)] for at in range(first, last, step))
    found = [forward(part.float().div_(255)).float().cpu() for part in parts]
    return torch.cat(found) if found else forward(images[:1].float().div_(255)).float().cpu()[:0]


def _batch_size(images: Images) -> int:
    """Fewer at once the larger they are: a few hundred megabytes of activations, not gigabytes."""
    return min(_MOST_IMAGES, max(_FEWEST_IMAGES, _PIXELS // (images.shape[2] * images.shape[3])))


def scores(forward: Forward, split: Split) -> Scores:
    """Scores of a network on a split."""
    return score_logits(logits_of(forward, split.images), split.labels.cpu())


def score_logits(logits: Tensor, labels: Tensor) -> Scores:
    """Scores of logits (N, classes) against labels (N,)."""
    best = logits.topk(min(5, logits.shape[1]), dim=1).indices
    hits = best == labels[:, None]
    return Scores(
        top1=hits[:, 0].double().mean().item(),
        top5=hits.any(dim=1).double().mean().item(),
        nll=functional.cross_entropy(logits.double(), labels).item(),
        images=len(labels),
    )
