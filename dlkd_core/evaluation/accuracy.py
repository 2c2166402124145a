"""Accuracy of logits against labels."""

from collections.abc import Callable
from dataclasses import asdict, dataclass

import torch
from torch import Tensor
from torch.nn import functional

from dlkd_core.data.packed import Split

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
def logits_of(forward: Forward, images: Tensor, batch_size: int = 256) -> Tensor:
    """Logits (N, classes), on the CPU, of uint8 images (N, 3, H, W)."""
    return torch.cat([forward(part.float().div_(255)).float().cpu() for part in torch.split(images, batch_size)])


def scores(forward: Forward, split: Split, batch_size: int = 256) -> Scores:
    """Scores of a network on a split."""
    return score_logits(logits_of(forward, split.images, batch_size), split.labels.cpu())


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
