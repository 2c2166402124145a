"""Tests for `dlkd_auto`, which uses the published loss weights only in long runs."""

import pytest

from dlkd_core.catalog.methods import METHODS
from dlkd_core.catalog.methods.base_method import RunContext
from dlkd_core.catalog.methods.dlkd import DLKD, DLKDAuto


def adapt_to_steps(steps: int) -> DLKD:
    adapted = DLKDAuto().adapt(RunContext(steps=steps))
    assert isinstance(adapted, DLKD)
    return adapted


@pytest.mark.parametrize("steps", [240 * 782, 120 * 5_004])
def test_from_the_papers_steps_on_it_is_the_published_method(steps: int) -> None:
    assert adapt_to_steps(steps) == DLKD()


def test_weights_grow_with_the_steps_and_shorter_runs_use_a_single_view() -> None:
    methods = [adapt_to_steps(steps) for steps in (10, 237, 790, 10_000, 100_000)]
    alignment = [method.alignment for method in methods]
    correlation = [method.correlation for method in methods]
    assert alignment == sorted(set(alignment))
    assert correlation == sorted(set(correlation))
    assert {method.views for method in methods} == {"single"}
    assert max(alignment) < DLKD().alignment


def test_at_the_measured_steps_the_weights_are_the_measured_ones() -> None:
    assert (adapt_to_steps(790).alignment, adapt_to_steps(790).correlation) == (5.0, 1.0)
    assert (adapt_to_steps(237).alignment, adapt_to_steps(237).correlation) == pytest.approx(
        (1.5, 0.3)
    )


def test_views_and_the_weight_of_the_labels_can_be_set() -> None:
    adapted = DLKDAuto(views="rotation4", labels=0).adapt(RunContext(steps=1))
    assert adapted.views == "rotation4"
    assert adapted.terms_needing_labels() == []


@pytest.mark.parametrize("name", sorted(set(METHODS) - {"dlkd_auto"}))
def test_every_other_method_does_not_adapt(name: str) -> None:
    method = METHODS[name](name=name)
    assert method.adapt(RunContext(steps=1)) is method
