"""Digests that tell the architectures apart."""

import subprocess
import sys
from collections import Counter
from dataclasses import asdict

import pytest

from dlkd_core.catalog import ARCHITECTURES
from dlkd_core.models.skeleton import skeleton
from dlkd_core.teachers import fingerprints


def test_the_file_says_of_every_torchvision_network_what_the_network_itself_says() -> None:
    text = fingerprints.index_text("torchvision")
    assert fingerprints.index_file("torchvision").read_text() == text, "run python -m dlkd_core.teachers.fingerprints torchvision"


@pytest.mark.parametrize(
    "name", ["timm/resnet26", "timm/deit_tiny_patch16_224", "timm/mobilenetv3_small_050", "timm/swin_tiny_patch4_window7_224"]
)
def test_the_file_says_of_timms_networks_what_the_networks_themselves_say(name: str) -> None:
    (options,) = fingerprints.variants(name)
    taken = fingerprints.take(name, options)
    alike = [variant for variant in fingerprints.known() if variant.digest == taken.digest]
    assert [asdict(variant) for variant in alike] == [asdict(taken)], "run python -m dlkd_core.teachers.fingerprints timm"


def test_every_variant_of_the_catalog_is_known_once_and_no_two_are_alike_but_timms() -> None:
    known = [variant for variant in fingerprints.known() if not variant.architecture.startswith("timm/")]
    assert {variant.architecture for variant in known} == {name for name in ARCHITECTURES if not name.startswith("timm/")}
    assert [digest for digest, count in Counter(variant.digest for variant in known).items() if count > 1] == []


def test_of_timms_networks_those_that_differ_in_their_weights_are_known_each_once() -> None:
    known = [variant for variant in fingerprints.known() if variant.architecture.startswith("timm/")]
    assert len(known) == len({variant.digest for variant in known}) > 700
    assert {variant.architecture for variant in known} <= set(ARCHITECTURES)


def test_both_shortcuts_of_the_cifar_resnets_are_variants() -> None:
    assert fingerprints.variants("resnet20") == [{"shortcut": "conv"}, {"shortcut": "pad"}]
    assert fingerprints.variants("vgg8") == [{}]
    known = [variant.options for variant in fingerprints.known() if variant.architecture == "resnet20"]
    assert known == fingerprints.variants("resnet20")


def shapes(architecture: str, classes: int) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in skeleton(architecture, classes).module.state_dict().items()}


def test_a_digest_does_not_depend_on_the_number_of_classes_or_the_order_and_does_on_every_shape() -> None:
    ten = shapes("resnet8", 10)
    assert fingerprints.digest(ten, "fc") == fingerprints.digest(shapes("resnet8", 1000), "fc")
    assert fingerprints.digest(dict(reversed(ten.items())), "fc") == fingerprints.digest(ten, "fc")
    for name in ten:
        counted = name.endswith("num_batches_tracked") or name.startswith("fc.")
        changed = {**ten, name: (*ten[name], 2)}
        assert (fingerprints.digest(changed, "fc") == fingerprints.digest(ten, "fc")) is counted


def test_a_fingerprint_counts_the_weights_but_the_classifiers() -> None:
    taken = fingerprints.take("resnet8", {"shortcut": "pad"})
    network = skeleton("resnet8", 2, {"shortcut": "pad"}).module
    statistics = sum(tensor.numel() for name, tensor in network.state_dict().items() if "running" in name)
    assert taken.values == sum(weight.numel() for weight in network.parameters()) - (64 * 2 + 2) + statistics
    assert taken.parts == {"conv1": 1, "bn1": 4, "layer1": 10, "layer2": 10, "layer3": 10}


@pytest.mark.parametrize(("architecture", "needed"), [("resnet8", False), ("squeezenet1_1", True)])
def test_torchvision_is_imported_only_to_build_a_network_of_its_own(architecture: str, *, needed: bool) -> None:
    code = f"""
import sys
import torch
from dlkd_core.models.skeleton import skeleton
from dlkd_core.teachers.recognise import recognise
state = skeleton({architecture!r}, 5).module.state_dict()
early = "torchvision" in sys.modules
tensors = {{name: torch.zeros(tensor.shape) for name, tensor in state.items()}}
assert recognise(tensors).architecture == {architecture!r}
print(early, "torchvision" in sys.modules)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == [str(needed)] * 2
