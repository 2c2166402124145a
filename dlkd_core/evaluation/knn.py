"""Weighted nearest neighbours: what features are worth before any classifier has been trained on them."""

import torch
from torch import Tensor
from torch.nn import functional as F

from dlkd_core.catalog.evaluations import NearestNeighbours
from dlkd_core.evaluation.features import Features

_CHUNK = 1024  # queries compared with the whole bank at a time: bounds the memory of the similarities


def knn_top1(  # noqa: PLR0913 - as many as the rule has
    bank: Tensor, bank_labels: Tensor, queries: Tensor, labels: Tensor, *, classes: int, k: int = 20, temperature: float = 0.07
) -> float:
    """Share of the queries whose neighbours in the bank vote for the right class.

    Neighbours vote with exp(cosine similarity / temperature), as in Wu et al. 2018 and in DINO's evaluation.

    Args:
        bank: features (M, D) that are labelled; compared as unit vectors.
        bank_labels: their classes (M,).
        queries: features (N, D) to classify.
        labels: the right classes (N,).
        classes: how many there are.
        k: neighbours that vote; at most M do.
        temperature: small ones let the nearest decide.

    Source: https://arxiv.org/abs/1805.01978, https://github.com/facebookresearch/dino/blob/main/eval_knn.py
    """
    votes = knn_votes(bank, bank_labels, queries, classes=classes, k=k, temperature=temperature)
    return (votes.argmax(dim=1) == labels.to(votes.device)).double().mean().item()


def knn_votes(
    bank: Tensor, bank_labels: Tensor, queries: Tensor, *, classes: int, k: int = 20, temperature: float = 0.07
) -> Tensor:
    """The votes for each class, (N, classes), for the same arguments; each row's sum is 1."""
    known = F.normalize(bank.float(), dim=1).T.contiguous()
    bank_labels = bank_labels.to(device=bank.device, dtype=torch.int64)
    k = min(k, len(bank))
    votes = []
    for chunk in torch.split(queries.to(bank.device), _CHUNK):
        similarities, neighbours = (F.normalize(chunk.float(), dim=1) @ known).topk(k, dim=1)
        weights = (similarities / temperature).softmax(dim=1)  # the scale of a row's votes does not matter, overflow would
        votes.append(weights.new_zeros(len(chunk), classes).scatter_add_(1, bank_labels[neighbours], weights))
    return torch.cat(votes)


def run(choice: NearestNeighbours, seen: Features) -> dict[str, float]:
    """The protocol on the features of a data set."""
    found = knn_top1(
        seen.train,
        seen.train_labels,
        seen.val,
        seen.val_labels,
        classes=seen.classes,
        k=choice.k,
        temperature=choice.temperature,
    )
    return {"top1": found}
