"""Tests that the linear probe matches scikit-learn's logistic regression on scanned digits."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from dlkd_core.evaluation.linear_probe import _fit, linear_probe


@pytest.fixture(scope="module")
def digits() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return training and test images of 64 pixels and their labels. Some pixels are constant."""
    rows, labels = load_digits(return_X_y=True)
    images, classes = torch.from_numpy(rows).float(), torch.from_numpy(labels)
    return images[:300], classes[:300], images[300:], classes[300:]


@pytest.mark.parametrize("penalty", [0.1, 1.0, 100.0])
def test_the_optimum_matches_scikit_learn(
    digits: tuple[Tensor, Tensor, Tensor, Tensor], penalty: float
) -> None:
    rows, labels, test_rows, test_labels = digits
    scaler = StandardScaler().fit(rows.double().numpy())
    reference = LogisticRegression(C=1 / penalty, tol=1e-8, max_iter=10_000).fit(
        scaler.transform(rows.double()), labels
    )
    result = linear_probe(rows, labels, test_rows, test_labels, classes=10, penalty=penalty)
    assert result.converged
    assert result.top1 == pytest.approx(
        reference.score(scaler.transform(test_rows.double()), test_labels), abs=1 / len(test_labels)
    )
    weight, _, _ = _fit(torch.from_numpy(scaler.transform(rows.double())), labels, 10, penalty)
    np.testing.assert_allclose(weight.T.numpy(), reference.coef_, atol=2e-3)
    assert 0.7 < result.top1 < 1


def test_the_result_does_not_depend_on_feature_scale_or_constant_features(
    digits: tuple[Tensor, Tensor, Tensor, Tensor],
) -> None:
    rows, labels, test_rows, test_labels = digits
    plain = linear_probe(rows, labels, test_rows, test_labels, classes=10)
    scaled = [
        torch.cat([features * 1000 + 5, torch.ones(len(features), 1)], dim=1)
        for features in (rows, test_rows)
    ]
    assert linear_probe(
        scaled[0], labels, scaled[1], test_labels, classes=10
    ).top1 == pytest.approx(plain.top1, abs=2 / len(test_labels))


def test_random_features_are_at_chance(
    digits: tuple[Tensor, Tensor, Tensor, Tensor],
) -> None:
    _, labels, _, test_labels = digits
    generator = torch.Generator().manual_seed(0)
    rows, test_rows = (
        torch.randn(len(targets), 8, generator=generator) for targets in (labels, test_labels)
    )
    assert linear_probe(rows, labels, test_rows, test_labels, classes=10).top1 < 0.2


def test_too_few_steps_are_reported_as_not_converged(
    digits: tuple[Tensor, Tensor, Tensor, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dlkd_core.evaluation.linear_probe._MAX_STEPS", 2)
    assert not linear_probe(*digits, classes=10).converged
