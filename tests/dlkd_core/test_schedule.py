"""The learning rate over a run."""

import pytest

from dlkd_core.schedule import rate_at
from dlkd_core.training_spec import Schedule


def test_the_papers_rate_falls_after_epochs_150_180_and_210_of_240() -> None:
    rates = [rate_at(Schedule(), epoch * 10, 2400, 10) for epoch in range(240)]
    falls = [epoch for epoch in range(1, 240) if rates[epoch] < rates[epoch - 1]]
    assert falls == [150, 180, 210]  # counted from 0: the first epoch at the new rate
    assert rates[0] == 1
    assert rates[-1] == pytest.approx(1e-3)


def test_the_rate_is_the_same_within_an_epoch_of_the_papers_schedule() -> None:
    assert rate_at(Schedule(), 1499, 2400, 10) == 1
    assert rate_at(Schedule(), 1500, 2400, 10) == pytest.approx(0.1)


def test_cosine_falls_from_one_to_nearly_nothing() -> None:
    rates = [rate_at(Schedule(name="cosine"), step, 100, 10) for step in range(100)]
    assert rates[0] == 1
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] < 1e-3


def test_warm_up_climbs_to_the_full_rate() -> None:
    rates = [rate_at(Schedule(name="constant", warmup_epochs=2), step, 100, 10) for step in range(30)]
    assert rates[0] == pytest.approx(1 / 20)
    assert rates[19:] == [1.0] * 11
