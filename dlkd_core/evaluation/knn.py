"""Weighted k-nearest-neighbor classification of features."""

import torch
from torch import Tensor
from torch.nn import functional as F

from dlkd_core.catalog.evaluation_protocols import KNNClassification
from dlkd_core.evaluation.features import DatasetFeatures

# Number of queries compared with the whole bank at a time. This limits the memory that the
# similarities take.
_QUERY_CHUNK = 1024


def knn_top1(  # noqa: PLR0913 - the parameters of the published rule
    bank: Tensor,
    bank_labels: Tensor,
    queries: Tensor,
    labels: Tensor,
    *,
    classes: int,
    k: int = 20,
    temperature: float = 0.07,
) -> float:
    """Return the share of queries for which the neighbors in the bank choose the right class.

    Neighbors vote with exp(cosine similarity / temperature), as in Wu et al. 2018 and in DINO's
    evaluation.

    Args:
        bank: Labeled features (M, D), compared as unit vectors.
        bank_labels: Class indices (M,) of the bank.
        queries: Features (N, D) to classify.
        labels: Correct class indices (N,) of the queries.
        classes: Number of classes.
        k: Number of neighbors that vote, at most M.
        temperature: Softmax temperature. A smaller value gives the nearest neighbors more weight.

    Source: https://arxiv.org/abs/1805.01978,
    https://github.com/facebookresearch/dino/blob/main/eval_knn.py
    """
    votes = knn_votes(bank, bank_labels, queries, classes=classes, k=k, temperature=temperature)
    return (votes.argmax(dim=1) == labels.to(votes.device)).double().mean().item()


def knn_votes(
    bank: Tensor,
    bank_labels: Tensor,
    queries: Tensor,
    *,
    classes: int,
    k: int = 20,
    temperature: float = 0.07,
) -> Tensor:
    """Return the weight of the neighbors' votes for each query and class, (N, classes).

    Each row sums to 1.

    See `knn_top1` for the arguments.
    """
    unit_bank = F.normalize(bank.float(), dim=1).T.contiguous()
    bank_labels = bank_labels.to(device=bank.device, dtype=torch.int64)
    k = min(k, len(bank))
    votes = []
    for chunk in torch.split(queries.to(bank.device), _QUERY_CHUNK):
        similarities, neighbors = (F.normalize(chunk.float(), dim=1) @ unit_bank).topk(k, dim=1)
        # Use softmax instead of exp, which could overflow. The scale of a row does not matter.
        weights = (similarities / temperature).softmax(dim=1)
        votes.append(
            weights.new_zeros(len(chunk), classes).scatter_add_(1, bank_labels[neighbors], weights)
        )
    return torch.cat(votes)


def run(protocol: KNNClassification, features: DatasetFeatures) -> dict[str, float]:
    """Run the protocol on a dataset's features."""
    top1 = knn_top1(
        features.train,
        features.train_labels,
        features.val,
        features.val_labels,
        classes=features.classes,
        k=protocol.k,
        temperature=protocol.temperature,
    )
    return {"top1": top1}
