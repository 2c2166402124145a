"""Tests for fingerprints, the digests that identify architectures."""

import subprocess
import sys
from collections import Counter
from dataclasses import asdict

import pytest

from dlkd_core.catalog import ARCHITECTURES
from dlkd_core.models.meta_network import build_meta_network
from dlkd_core.teachers.recognition import fingerprints


def test_the_stored_torchvision_fingerprints_match_the_networks() -> None:
    expected = fingerprints.build_index("torchvision")
    assert fingerprints.index_path("torchvision").read_text() == expected, (
        "run python -m dlkd_core.teachers.recognition.fingerprints torchvision"
    )


@pytest.mark.parametrize(
    "name",
    [
        "timm/resnet26",
        "timm/deit_tiny_patch16_224",
        "timm/mobilenetv3_small_050",
        "timm/swin_tiny_patch4_window7_224",
    ],
)
def test_the_stored_timm_fingerprints_match_the_networks(name: str) -> None:
    (options,) = fingerprints.list_variants(name)
    fingerprint = fingerprints.compute_fingerprint(name, options)
    matching = [
        variant
        for variant in fingerprints.all_fingerprints()
        if variant.digest == fingerprint.digest
    ]
    assert [asdict(variant) for variant in matching] == [asdict(fingerprint)], (
        "run python -m dlkd_core.teachers.recognition.fingerprints timm"
    )


def test_every_variant_is_listed_once_and_only_timm_has_equal_networks() -> None:
    known = [
        variant
        for variant in fingerprints.all_fingerprints()
        if not variant.architecture.startswith("timm/")
    ]
    assert {variant.architecture for variant in known} == {
        name for name in ARCHITECTURES if not name.startswith("timm/")
    }
    counts = Counter(variant.digest for variant in known)
    equal = {variant.architecture for variant in known if counts[variant.digest] > 1}
    assert equal == {"ResNet50", "resnet50"}  # the latter with the option `stem: cifar`


def test_timm_networks_with_different_weights_are_listed_once_each() -> None:
    known = [
        variant
        for variant in fingerprints.all_fingerprints()
        if variant.architecture.startswith("timm/")
    ]
    assert len(known) == len({variant.digest for variant in known}) > 700
    assert {variant.architecture for variant in known} <= set(ARCHITECTURES)


def test_both_shortcuts_of_the_cifar_resnets_are_variants() -> None:
    assert fingerprints.list_variants("resnet20") == [{"shortcut": "conv"}, {"shortcut": "pad"}]
    assert fingerprints.list_variants("vgg8") == [{}]
    known = [
        variant.options
        for variant in fingerprints.all_fingerprints()
        if variant.architecture == "resnet20"
    ]
    assert known == fingerprints.list_variants("resnet20")


def shapes(architecture: str, classes: int) -> dict[str, tuple[int, ...]]:
    return {
        name: tuple(tensor.shape)
        for name, tensor in build_meta_network(architecture, classes).module.state_dict().items()
    }


def test_a_digest_depends_on_every_shape_but_not_on_classes_and_order() -> None:
    ten = shapes("resnet8", 10)
    digest = fingerprints.compute_digest(ten, "fc")
    assert fingerprints.compute_digest(shapes("resnet8", 1000), "fc") == digest
    assert fingerprints.compute_digest(dict(reversed(ten.items())), "fc") == digest
    for name in ten:
        is_excluded = name.endswith("num_batches_tracked") or name.startswith("fc.")
        changed = {**ten, name: (*ten[name], 2)}
        assert (fingerprints.compute_digest(changed, "fc") == digest) is is_excluded


def test_a_fingerprint_counts_the_weights_without_the_classifier() -> None:
    fingerprint = fingerprints.compute_fingerprint("resnet8", {"shortcut": "pad"})
    network = build_meta_network("resnet8", 2, {"shortcut": "pad"}).module
    statistics = sum(
        tensor.numel() for name, tensor in network.state_dict().items() if "running" in name
    )
    assert (
        fingerprint.values
        == sum(weight.numel() for weight in network.parameters()) - (64 * 2 + 2) + statistics
    )
    assert fingerprint.parts == {"conv1": 1, "bn1": 4, "layer1": 10, "layer2": 10, "layer3": 10}


@pytest.mark.parametrize(("architecture", "needed"), [("resnet8", False), ("squeezenet1_1", True)])
def test_torchvision_is_imported_only_to_build_a_network_of_its_own(
    architecture: str, *, needed: bool
) -> None:
    code = f"""
import sys
import torch
from dlkd_core.models.meta_network import build_meta_network
from dlkd_core.teachers.recognition.recognizer import recognize
state = build_meta_network({architecture!r}, 5).module.state_dict()
imported_early = "torchvision" in sys.modules
tensors = {{name: torch.zeros(tensor.shape) for name, tensor in state.items()}}
assert recognize(tensors).architecture == {architecture!r}
print(imported_early, "torchvision" in sys.modules)
"""
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.split() == [str(needed)] * 2
