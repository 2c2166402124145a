"""Tests for the stored groups of networks whose weights have the same names and shapes."""

import json

import pytest

from dlkd_core.catalog import ARCHITECTURES
from dlkd_core.catalog.architectures.alike_networks import (
    ALIKE_NETWORKS_FILE,
    find_alike_networks,
)
from dlkd_core.teachers.recognition.alike_networks_index import split_by_computation
from dlkd_core.teachers.recognition.fingerprints import compute_fingerprint, list_variants

COMMAND = "run python -m dlkd_core.teachers.recognition.alike_networks_index"


@pytest.mark.parametrize(
    "name", ["resnet18", "timm/mobilenetv3_small_100", "timm/xcit_nano_12_p16_224"]
)
def test_a_stored_group_matches_the_networks(name: str) -> None:
    alike = find_alike_networks(name)
    names = [member for equivalents in alike for member in equivalents]
    assert tuple(map(tuple, split_by_computation(names))) == alike, COMMAND
    digests = {compute_fingerprint(member, list_variants(member)[0]).digest for member in names}
    assert len(digests) == 1, COMMAND


def test_every_network_is_in_one_group_at_most() -> None:
    groups = json.loads(ALIKE_NETWORKS_FILE.read_text())
    names = [name for group in groups for equivalents in group for name in equivalents]
    assert len(names) == len(set(names))
    assert set(names) <= set(ARCHITECTURES)
    assert all(sum(map(len, group)) > 1 for group in groups)
    assert sum(len(group) > 1 for group in groups) > 50, COMMAND


def test_a_network_without_others_is_alone() -> None:
    assert find_alike_networks("resnet20") == (("resnet20",),)
