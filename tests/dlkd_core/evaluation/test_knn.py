"""Tests for weighted k-NN, with edge cases and a slow reference implementation."""

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from dlkd_core.evaluation.knn import knn_top1, knn_votes


def random_features(count: int, seed: int, classes: int = 4) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 6, generator=generator), torch.randint(
        classes, (count,), generator=generator
    )


def reference_votes(
    bank: Tensor, bank_labels: Tensor, query: Tensor, k: int, temperature: float
) -> Tensor:
    """Return the class votes for one query, computed neighbor by neighbor."""
    similarities = [cosine_similarity(query, row, dim=0).item() for row in bank]
    nearest = sorted(range(len(bank)), key=lambda row: similarities[row], reverse=True)[:k]
    votes = torch.zeros(4, dtype=torch.float64)
    for row in nearest:
        votes[bank_labels[row]] += torch.tensor(
            similarities[row] / temperature, dtype=torch.float64
        ).exp()
    return votes / votes.sum()


@pytest.mark.parametrize(("k", "temperature"), [(1, 0.07), (5, 0.07), (20, 0.5)])
def test_votes_match_the_definition(k: int, temperature: float) -> None:
    (bank, bank_labels), (queries, _) = random_features(50, 0), random_features(9, 1)
    votes = knn_votes(bank, bank_labels, queries, classes=4, k=k, temperature=temperature)
    expected = torch.stack(
        [reference_votes(bank, bank_labels, query, k, temperature) for query in queries]
    )
    torch.testing.assert_close(votes.double(), expected, atol=1e-5, rtol=1e-4)


def test_top1_counts_the_queries_whose_class_gets_the_most_votes() -> None:
    (bank, bank_labels), (queries, labels) = random_features(50, 0), random_features(2000, 1)
    votes = torch.cat(
        [knn_votes(bank, bank_labels, query[None], classes=4) for query in queries[:40]]
    )
    expected = (votes.argmax(dim=1) == labels[:40]).double().mean().item()
    assert knn_top1(bank, bank_labels, queries[:40], labels[:40], classes=4) == expected
    # there are more queries than fit in a chunk
    all_votes = knn_votes(bank, bank_labels, queries, classes=4)
    expected = (all_votes.argmax(dim=1) == labels).double().mean().item()
    assert knn_top1(bank, bank_labels, queries, labels, classes=4) == expected


def test_a_query_in_the_bank_gets_its_own_class_at_any_length() -> None:
    bank, labels = random_features(60, 2)
    assert knn_top1(bank, labels, 7 * bank, labels, classes=4, k=1) == 1.0
    assert knn_top1(bank, labels, bank, (labels + 1) % 4, classes=4, k=1) == 0.0


def test_a_bank_smaller_than_k_works_and_small_temperatures_do_not_overflow() -> None:
    bank, labels = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 1])
    votes = knn_votes(bank.half(), labels, bank, classes=3, k=20, temperature=1e-3)
    assert votes.tolist() == [[1, 0, 0], [0, 1, 0]]
