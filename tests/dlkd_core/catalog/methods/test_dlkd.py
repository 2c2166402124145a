"""Tests for `dlkd_auto`, which fits DLKD to the length and the inputs of a run."""

from itertools import pairwise

import pytest

from dlkd_core.catalog.methods import METHODS
from dlkd_core.catalog.methods.base_method import RunContext
from dlkd_core.catalog.methods.dlkd import DLKD, DLKDAuto

PAPER_STEPS = 240 * 782


def weights(method: DLKDAuto) -> dict[str, float]:
    return {term.name: term.weight for term in method.active_terms()}


def adapt(steps: int = 790, **facts: bool) -> DLKDAuto:
    return DLKDAuto().adapt(RunContext(steps=steps, **facts))


@pytest.mark.parametrize("steps", [PAPER_STEPS, 120 * 5_004])
def test_from_the_papers_steps_on_it_is_the_published_method(steps: int) -> None:
    adapted, published = adapt(steps), DLKD()
    assert adapted.views == published.views
    assert adapted.active_terms() == published.active_terms()


def test_short_runs_align_the_feature_maps_on_a_single_view() -> None:
    adapted = adapt(790)
    assert adapted.views == "single"
    assert set(weights(adapted)) == {"labels", "map_alignment", "alignment", "correlation", "kd"}
    assert adapted.trains_classifier


def test_weights_change_without_a_jump_toward_the_papers() -> None:
    steps = [round(24_000 * (PAPER_STEPS / 24_000) ** (k / 50)) for k in range(51)]
    runs = [weights(adapt(count)) for count in steps]
    correlation = [run["correlation"] for run in runs]
    maps = [run.get("map_alignment", 0.0) for run in runs]
    assert correlation == sorted(correlation)
    assert maps == sorted(maps, reverse=True)
    assert max(b - a for a, b in pairwise(correlation)) < 2
    assert max(a - b for a, b in pairwise(maps)) < 1


@pytest.mark.parametrize(
    ("fact", "term"),
    [
        ("has_labels", "labels"),
        ("has_teacher_logits", "kd"),
        ("has_feature_maps", "map_alignment"),
    ],
)
def test_terms_that_the_run_cannot_have_are_left_out(fact: str, term: str) -> None:
    assert set(weights(adapt())) - set(weights(adapt(**{fact: False}))) == {term}


def test_before_the_run_is_known_nothing_is_required_of_teacher_and_images() -> None:
    method = DLKDAuto()
    assert method.terms_needing_labels() == []
    assert method.terms_needing_logits() == []
    assert method.terms_needing_feature_maps() == []
    assert method.active_terms()


def test_given_weights_and_views_are_kept() -> None:
    method = DLKDAuto(views="rotation4", labels=0, maps=3, correlation=0)
    adapted = method.adapt(RunContext(steps=1))
    assert adapted.views == "rotation4"
    assert weights(adapted)["map_alignment"] == 3
    assert not {"labels", "correlation"} & set(weights(adapted))


@pytest.mark.parametrize("name", sorted(set(METHODS) - {"dlkd_auto"}))
def test_every_other_method_does_not_adapt(name: str) -> None:
    method = METHODS[name](name=name)
    assert method.adapt(RunContext(steps=1)) is method
