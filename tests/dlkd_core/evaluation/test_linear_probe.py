"""The linear probe against scikit-learn's logistic regression, on real scans of digits."""

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
    """Training and test rows of 64 pixels, some of them constant, with labels."""
    rows, labels = load_digits(return_X_y=True)
    images, classes = torch.from_numpy(rows).float(), torch.from_numpy(labels)
    return images[:300], classes[:300], images[300:], classes[300:]


@pytest.mark.parametrize("penalty", [0.1, 1.0, 100.0])
def test_it_is_the_optimum_that_another_library_finds(digits: tuple[Tensor, Tensor, Tensor, Tensor], penalty: float) -> None:
    rows, labels, others, theirs = digits
    scaler = StandardScaler().fit(rows.double().numpy())
    reference = LogisticRegression(C=1 / penalty, tol=1e-8, max_iter=10_000).fit(scaler.transform(rows.double()), labels)
    found = linear_probe(rows, labels, others, theirs, classes=10, penalty=penalty)
    assert found.converged
    assert found.top1 == pytest.approx(reference.score(scaler.transform(others.double()), theirs), abs=1 / len(theirs))
    weight, _, _ = _fit(torch.from_numpy(scaler.transform(rows.double())), labels, 10, penalty)
    np.testing.assert_allclose(weight.T.numpy(), reference.coef_, atol=2e-3)
    assert 0.7 < found.top1 < 1


def test_the_scale_of_features_does_not_matter_and_a_constant_one_harms_nothing(
    digits: tuple[Tensor, Tensor, Tensor, Tensor],
) -> None:
    rows, labels, others, theirs = digits
    plain = linear_probe(rows, labels, others, theirs, classes=10)
    scaled = [torch.cat([one * 1000 + 5, torch.ones(len(one), 1)], dim=1) for one in (rows, others)]
    assert linear_probe(scaled[0], labels, scaled[1], theirs, classes=10).top1 == pytest.approx(plain.top1, abs=2 / len(theirs))


def test_features_that_tell_nothing_are_worth_a_guess(digits: tuple[Tensor, Tensor, Tensor, Tensor]) -> None:
    _, labels, _, theirs = digits
    noise = torch.Generator().manual_seed(0)
    rows, others = (torch.randn(len(one), 8, generator=noise) for one in (labels, theirs))
    assert linear_probe(rows, labels, others, theirs, classes=10).top1 < 0.2


def test_no_steps_enough_is_told(digits: tuple[Tensor, Tensor, Tensor, Tensor], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dlkd_core.evaluation.linear_probe._STEPS", 2)
    assert not linear_probe(*digits, classes=10).converged
