"""The preset that fits itself to a run: the published method at the paper's budget, smaller weights below it."""

import pytest

from dlkd_core.catalog.dlkd import DLKD, DLKDAuto
from dlkd_core.catalog.method import Situation
from dlkd_core.catalog.methods import METHODS


def at(images_seen: int) -> DLKD:
    fitted = DLKDAuto().adapted(Situation(images_seen=images_seen))
    assert isinstance(fitted, DLKD)
    return fitted


@pytest.mark.parametrize("images_seen", [240 * 50_000, 120 * 1_281_167])
def test_at_the_papers_budget_and_beyond_it_is_the_published_method(images_seen: int) -> None:
    assert at(images_seen) == DLKD()


def test_weights_grow_with_the_budget_and_one_view_is_enough_below_the_papers() -> None:
    fitted = [at(images_seen) for images_seen in (1_000, 50_000, 500_000, 5_000_000)]
    assert fitted[0] == fitted[1]
    alignment, correlation = zip(*((one.alignment, one.correlation) for one in fitted[1:]), strict=True)
    assert list(alignment) == sorted(set(alignment))
    assert list(correlation) == sorted(set(correlation))
    assert {one.views for one in fitted} == {"single"}
    assert all(one.alignment < DLKD().alignment for one in fitted)


def test_views_and_the_weight_of_the_labels_can_be_told() -> None:
    fitted = DLKDAuto(views="rotation4", labels=0).adapted(Situation(images_seen=1))
    assert fitted.views == "rotation4"
    assert fitted.labelled() == []


@pytest.mark.parametrize("name", sorted(set(METHODS) - {"dlkd_auto"}))
def test_every_other_method_is_what_it_is(name: str) -> None:
    method = METHODS[name](name=name)
    assert method.adapted(Situation(images_seen=1)) is method
