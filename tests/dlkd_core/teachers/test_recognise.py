"""Which network a checkpoint belongs to, and what is said where it belongs to none."""

from typing import Any

import pytest
import torch
from torch import Tensor

from dlkd_core.errors import ArchitectureUnknown, ClassesDoNotFit, KeysDoNotFit, SpecError, UnknownChoice
from dlkd_core.teachers.recognise import recognise

from .checkpoints import state

ONE_OF_EACH_FAMILY: list[tuple[str, dict[str, Any]]] = [
    ("resnet20", {"shortcut": "conv"}),
    ("resnet20", {"shortcut": "pad"}),
    ("resnet8x4", {"shortcut": "conv"}),
    ("resnet8x4", {"shortcut": "pad"}),
    ("ResNet50", {}),
    ("wrn_16_2", {}),
    ("vgg8", {}),
    ("MobileNetV2", {}),
    ("ShuffleV1", {}),
    ("ShuffleV2", {}),
    ("resnet18", {}),
    ("mobilenet_v3_small", {}),
    ("squeezenet1_1", {}),
    ("swin_t", {}),
    ("densenet121", {}),
    ("timm/repvit_m0_9", {}),
    ("timm/deit_tiny_distilled_patch16_224", {"image_size": 224}),
]


@pytest.mark.parametrize(("architecture", "options"), ONE_OF_EACH_FAMILY)
def test_architecture_options_and_classes_are_told_by_the_weights_alone(architecture: str, options: dict[str, Any]) -> None:
    weights = state(architecture, 13, options)
    found = recognise(weights)
    assert (found.architecture, found.options, found.num_classes) == (architecture, options, 13)
    assert found.tensors.keys() == weights.keys()
    assert all(torch.equal(found.tensors[name], tensor) for name, tensor in weights.items())


@pytest.mark.parametrize("name", ["linear", "classifier", "head", "heads.head", "logits", "output", "last_linear", "fc_out"])
def test_the_classifier_may_have_any_usual_name(name: str) -> None:
    weights = {key.replace("fc.", f"{name}."): tensor for key, tensor in state("resnet20", 7).items()}
    found = recognise(weights)
    assert (found.architecture, found.num_classes) == ("resnet20", 7)
    assert found.tensors["fc.weight"] is weights[f"{name}.weight"]


def test_densenets_of_old_torchvision_and_shortcuts_of_other_code_are_recognised() -> None:
    dense = {_old(name): tensor for name, tensor in state("densenet121", 3).items()}
    assert any(".norm.1." in name for name in dense)
    assert recognise(dense).architecture == "densenet121"
    cifar = {name.replace("downsample", "shortcut"): tensor for name, tensor in state("resnet20").items()}
    assert recognise(cifar).options == {"shortcut": "conv"}


def _old(name: str) -> str:
    for part in ("norm", "conv"):
        for number in "12":
            name = name.replace(f".{part}{number}.", f".{part}.{number}.") if "denselayer" in name else name
    return name


def test_what_is_counted_may_be_missing_and_is_filled_in() -> None:
    weights = {name: tensor for name, tensor in state().items() if not name.endswith("num_batches_tracked")}
    assert recognise(weights).tensors["bn1.num_batches_tracked"] == 0


def test_an_unknown_network_is_told_the_nearest() -> None:
    weights = {**state("resnet20"), "layer3.1.attention.weight": torch.zeros(3)}
    with pytest.raises(ArchitectureUnknown, match=r"has 129 \(conv1\.weight, .*; the nearest is resnet20\."):
        recognise(weights)


def test_a_network_like_none_of_ours_is_not_told_a_nearest() -> None:
    with pytest.raises(ArchitectureUnknown) as caught:
        recognise({f"transformer.h.{number}.attn.weight": torch.zeros(2, 2) for number in range(9)})
    assert "nearest" not in caught.value.message


def without_bias() -> dict[str, Tensor]:
    return {name: tensor for name, tensor in state().items() if name != "fc.bias"}


def test_a_known_backbone_with_another_classifier_says_what_does_not_fit() -> None:
    with pytest.raises(KeysDoNotFit, match=r"no resnet8: missing 1 \(fc\.bias\)"):
        recognise(without_bias())


def test_the_variant_of_a_named_architecture_is_found() -> None:
    weights = state("resnet20", 10, {"shortcut": "pad"})
    assert recognise(weights, architecture="resnet20").options == {"shortcut": "pad"}
    assert recognise(weights, architecture="resnet20", options={"shortcut": "pad"}).num_classes == 10


def test_a_named_architecture_that_does_not_fit_lists_why_and_names_the_one_that_does() -> None:
    with pytest.raises(KeysDoNotFit) as caught:
        recognise(state("resnet20"), architecture="resnet8")
    assert "no resnet8: unexpected 72 (layer1.1.conv1.weight, layer1.1.bn1.weight, layer1.1" in caught.value.message
    assert "those of resnet20" in caught.value.hint
    assert caught.value.pointer == "/teacher/architecture"


def test_every_kind_of_misfit_is_in_the_message() -> None:
    with pytest.raises(KeysDoNotFit) as caught:
        recognise(state("resnet8"), architecture="vgg8")
    assert "missing 30 (block0.0.weight, " in caught.value.message
    assert "unexpected 54 (conv1.weight, " in caught.value.message
    assert "of other shapes 1 (classifier.weight: (10, 64) in the file, (10, 512) in the network)" in caught.value.message


def test_another_variant_than_the_one_that_is_named_is_refused() -> None:
    with pytest.raises(KeysDoNotFit, match="unexpected 12"):
        recognise(state("resnet8"), architecture="resnet8", options={"shortcut": "pad"})


@pytest.mark.parametrize("named", ["resnet8", None])
def test_without_a_classifier_in_the_file_there_are_no_classes_and_a_notice(named: str | None) -> None:
    weights = {name: tensor for name, tensor in state().items() if not name.startswith("fc.")}
    found = recognise(weights, architecture=named)
    assert (found.architecture, found.num_classes) == ("resnet8", 0)
    assert "without a classifier" in found.notices[0]


def test_another_number_of_classes_than_expected_is_said() -> None:
    assert recognise(state(), num_classes=10).num_classes == 10
    with pytest.raises(ClassesDoNotFit, match="has 10 classes, not 7") as caught:
        recognise(state(), num_classes=7)
    assert caught.value.pointer == "/num_classes"


def test_an_unknown_name_and_unknown_options_are_refused() -> None:
    with pytest.raises(UnknownChoice) as unknown:
        recognise(state(), architecture="resnet21")
    assert "resnet20" in unknown.value.hint
    with pytest.raises(SpecError, match="resnet8 has no such options") as caught:
        recognise(state(), architecture="resnet8", options={"shortcut": "none"})
    assert caught.value.pointer == "/teacher/options"
