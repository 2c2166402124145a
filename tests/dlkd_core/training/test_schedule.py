"""Tests for the learning rate schedule."""

import pytest

from dlkd_core.training.schedule import learning_rate_factor
from dlkd_core.training_spec import LearningRateSchedule

PAPER_SCHEDULE = LearningRateSchedule(name="step")


def test_the_papers_rate_falls_after_epochs_150_180_and_210_of_240() -> None:
    rates = [learning_rate_factor(PAPER_SCHEDULE, epoch * 10, 2400, 10) for epoch in range(240)]
    falls = [epoch for epoch in range(1, 240) if rates[epoch] < rates[epoch - 1]]
    assert falls == [150, 180, 210]  # the first epochs with a lower rate, counted from 0
    assert rates[0] == 1
    assert rates[-1] == pytest.approx(1e-3)


def test_the_rate_changes_only_between_epochs_in_the_papers_schedule() -> None:
    assert learning_rate_factor(PAPER_SCHEDULE, 1499, 2400, 10) == 1
    assert learning_rate_factor(PAPER_SCHEDULE, 1500, 2400, 10) == pytest.approx(0.1)


def test_cosine_falls_from_one_to_almost_zero() -> None:
    rates = [
        learning_rate_factor(LearningRateSchedule(name="cosine"), step, 100, 10)
        for step in range(100)
    ]
    assert rates[0] == 1
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] < 1e-3


def test_linear_rises_to_one_and_falls_to_almost_zero() -> None:
    schedule = LearningRateSchedule(name="linear", warmup_epochs=1)
    rates = [learning_rate_factor(schedule, step, 100, 10) for step in range(100)]
    assert rates[:10] == pytest.approx([(step + 1) / 10 for step in range(10)])
    assert rates[10:] == pytest.approx([(100 - step) / 90 for step in range(10, 100)])


@pytest.mark.parametrize("steps", [1, 3, 9])
def test_warm_up_of_less_than_a_step_does_not_exceed_the_base_rate(steps: int) -> None:
    schedule = LearningRateSchedule(name="linear", warmup_epochs=0.1 * steps)
    rates = [learning_rate_factor(schedule, step, steps, 1) for step in range(steps)]
    assert rates[0] == 1
    assert max(rates) <= 1
    assert min(rates) > 0


def test_warm_up_rises_to_the_full_rate() -> None:
    rates = [
        learning_rate_factor(LearningRateSchedule(name="constant", warmup_epochs=2), step, 100, 10)
        for step in range(30)
    ]
    assert rates[0] == pytest.approx(1 / 20)
    assert rates[19:] == [1.0] * 11
