"""Tests for translating parameter names, which differ between code bases."""

import pytest

from dlkd_core.models.parameter_names import (
    canonical_name,
    is_auxiliary,
    is_learned,
    summarize_names,
)


def test_different_names_of_one_layer_become_one() -> None:
    assert canonical_name("layer1.0.shortcut.0.weight") == canonical_name(
        "layer1.0.downsample.0.weight"
    )
    old, new = "denseblock1.denselayer2.norm.1.weight", "denseblock1.denselayer2.norm1.weight"
    assert canonical_name(f"features.{old}") == canonical_name(f"features.{new}")
    assert canonical_name("blocks.0.module.weight") == "blocks.0.weight"


@pytest.mark.parametrize("name", ["layer1.0.conv1.weight", "shortcut", "features.norm.1.weight"])
def test_other_names_do_not_change(name: str) -> None:
    assert canonical_name(name) == name


def test_counted_and_computed_tensors_are_not_learned() -> None:
    assert not is_learned("bn1.num_batches_tracked")
    assert not is_learned("features.1.0.attn.relative_position_index")
    assert is_learned("bn1.running_mean")


def test_classifiers_for_training_only_are_auxiliary() -> None:
    assert is_auxiliary("aux1.fc2.bias")
    assert is_auxiliary("AuxLogits.conv0.conv.weight")
    assert not is_auxiliary("auxiliary.weight")


def test_a_summary_counts_the_names_and_lists_the_first() -> None:
    assert summarize_names(["a", "b"]) == "2 (a, b)"
    assert summarize_names("abcd", limit=3) == "4 (a, b, c, ...)"
