"""The preset that fits itself to a run: the published method at the paper's budget, smaller weights below it."""

import pytest

from dlkd_core.catalog.dlkd import DLKD, DLKDAuto
from dlkd_core.catalog.method import Situation
from dlkd_core.catalog.methods import METHODS


def at(steps: int) -> DLKD:
    fitted = DLKDAuto().adapted(Situation(steps=steps))
    assert isinstance(fitted, DLKD)
    return fitted


@pytest.mark.parametrize("steps", [240 * 782, 120 * 5_004])
def test_at_the_papers_budget_and_beyond_it_is_the_published_method(steps: int) -> None:
    assert at(steps) == DLKD()


def test_weights_grow_with_the_budget_and_one_view_is_enough_below_the_papers() -> None:
    fitted = [at(steps) for steps in (10, 237, 790, 10_000, 100_000)]
    alignment, correlation = zip(*((one.alignment, one.correlation) for one in fitted), strict=True)
    assert list(alignment) == sorted(set(alignment))
    assert list(correlation) == sorted(set(correlation))
    assert {one.views for one in fitted} == {"single"}
    assert all(one.alignment < DLKD().alignment for one in fitted)


def test_at_the_measured_budgets_the_weights_are_the_measured_ones() -> None:
    assert (at(790).alignment, at(790).correlation) == (5.0, 1.0)
    assert (at(237).alignment, at(237).correlation) == pytest.approx((1.5, 0.3))


def test_views_and_the_weight_of_the_labels_can_be_told() -> None:
    fitted = DLKDAuto(views="rotation4", labels=0).adapted(Situation(steps=1))
    assert fitted.views == "rotation4"
    assert fitted.labelled() == []


@pytest.mark.parametrize("name", sorted(set(METHODS) - {"dlkd_auto"}))
def test_every_other_method_is_what_it_is(name: str) -> None:
    method = METHODS[name](name=name)
    assert method.adapted(Situation(steps=1)) is method
