"""Names of weights across code bases."""

import pytest

from dlkd_core.teachers.names import canonical, is_auxiliary, is_learnt, some


def test_one_layer_under_two_habits_has_one_name() -> None:
    assert canonical("layer1.0.shortcut.0.weight") == canonical("layer1.0.downsample.0.weight")
    old, new = "denseblock1.denselayer2.norm.1.weight", "denseblock1.denselayer2.norm1.weight"
    assert canonical(f"features.{old}") == canonical(f"features.{new}")


@pytest.mark.parametrize("name", ["layer1.0.conv1.weight", "shortcut", "features.norm.1.weight"])
def test_other_names_stay(name: str) -> None:
    assert canonical(name) == name


def test_what_is_counted_or_computed_is_not_learnt() -> None:
    assert not is_learnt("bn1.num_batches_tracked")
    assert not is_learnt("features.1.0.attn.relative_position_index")
    assert is_learnt("bn1.running_mean")


def test_classifiers_for_training_only_are_auxiliary() -> None:
    assert is_auxiliary("aux1.fc2.bias")
    assert is_auxiliary("AuxLogits.conv0.conv.weight")
    assert not is_auxiliary("auxiliary.weight")


def test_a_list_of_names_is_counted_and_cut() -> None:
    assert some(["a", "b"]) == "2 (a, b)"
    assert some("abcd", limit=3) == "4 (a, b, c, ...)"
