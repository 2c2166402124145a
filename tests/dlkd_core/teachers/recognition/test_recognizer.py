"""Tests for recognizing the network in a checkpoint, and for the errors if no network matches."""

from typing import Any

import pytest
import torch
from torch import Tensor

from dlkd_core.errors import (
    ArchitectureUnknown,
    ClassesDoNotFit,
    KeysDoNotFit,
    SpecError,
    UnknownChoice,
)
from dlkd_core.teachers.recognition.recognizer import recognize
from tests.dlkd_core.teachers.sample_checkpoints import random_state_dict

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
    ("resnet18", {"stem": "imagenet"}),
    ("resnet18", {"stem": "cifar"}),
    ("mobilenet_v3_small", {}),
    ("squeezenet1_1", {}),
    ("swin_t", {}),
    ("densenet121", {}),
    ("timm/repvit_m0_9", {}),
    ("timm/deit_tiny_distilled_patch16_224", {"image_size": 224}),
]


@pytest.mark.parametrize(("architecture", "options"), ONE_OF_EACH_FAMILY)
def test_architecture_options_and_classes_are_recognized_from_the_weights(
    architecture: str, options: dict[str, Any]
) -> None:
    weights = random_state_dict(architecture, 13, options)
    model = recognize(weights)
    assert (model.architecture, model.options, model.num_classes) == (architecture, options, 13)
    assert model.tensors.keys() == weights.keys()
    assert all(torch.equal(model.tensors[name], tensor) for name, tensor in weights.items())


@pytest.mark.parametrize(
    "name",
    ["linear", "classifier", "head", "heads.head", "logits", "output", "last_linear", "fc_out"],
)
def test_the_classifier_may_have_any_usual_name(name: str) -> None:
    weights = {
        key.replace("fc.", f"{name}."): tensor
        for key, tensor in random_state_dict("resnet20", 7).items()
    }
    model = recognize(weights)
    assert (model.architecture, model.num_classes) == ("resnet20", 7)
    assert model.tensors["fc.weight"] is weights[f"{name}.weight"]


def test_names_of_old_densenets_and_other_shortcuts_are_recognized() -> None:
    dense = {
        _old_densenet_name(name): tensor
        for name, tensor in random_state_dict("densenet121", 3).items()
    }
    assert any(".norm.1." in name for name in dense)
    assert recognize(dense).architecture == "densenet121"
    cifar = {
        name.replace("downsample", "shortcut"): tensor
        for name, tensor in random_state_dict("resnet20").items()
    }
    assert recognize(cifar).options == {"shortcut": "conv"}


def _old_densenet_name(name: str) -> str:
    if "denselayer" in name:
        for part in ("norm", "conv"):
            for number in "12":
                name = name.replace(f".{part}{number}.", f".{part}.{number}.")
    return name


def test_missing_batch_counters_are_filled_in() -> None:
    weights = {
        name: tensor
        for name, tensor in random_state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    assert recognize(weights).tensors["bn1.num_batches_tracked"] == 0


def test_for_an_unknown_network_the_nearest_is_named() -> None:
    weights = {**random_state_dict("resnet20"), "layer3.1.attention.weight": torch.zeros(3)}
    with pytest.raises(
        ArchitectureUnknown,
        match=r"weights: 129 \(conv1\.weight, .*\. The nearest architecture is resnet20: unex",
    ):
        recognize(weights)


def test_for_a_very_different_network_no_nearest_is_named() -> None:
    with pytest.raises(ArchitectureUnknown) as caught:
        recognize({f"transformer.h.{number}.attn.weight": torch.zeros(2, 2) for number in range(9)})
    assert "nearest" not in caught.value.message


def test_the_first_difference_to_the_nearest_network_is_named() -> None:
    weights = {**random_state_dict("resnet18"), "conv1.weight": torch.zeros(64, 3, 5, 5)}
    with pytest.raises(ArchitectureUnknown) as caught:
        recognize(weights)
    assert (
        "resnet18: of different shape 1 (conv1.weight: (64, 3, 5, 5) in the file, (64, 3, 7, 7) in"
        " the network)" in caught.value.message
    )
    assert "ONNX" in caught.value.hint


@pytest.mark.parametrize(
    ("names", "maker", "command"),
    [
        (
            ["resnet.embedder.embedder.convolution.weight", "classifier.1.weight"],
            "Hugging Face transformers",
            "optimum-cli export onnx",
        ),
        (
            ["vit.embeddings.cls_token", "vit.encoder.layer.0.attention.attention.query.weight"],
            "Hugging Face transformers",
            "optimum-cli export onnx",
        ),
        (["0.conv.weight", "2.m.0.cv1.conv.weight"], "Ultralytics YOLO", "yolo export"),
        (["visual.transformer.resblocks.0.attn.in_proj_weight"], "CLIP", "timm/vit_base"),
    ],
)
def test_the_library_that_made_an_unknown_network_is_named(
    names: list[str], maker: str, command: str
) -> None:
    with pytest.raises(ArchitectureUnknown) as caught:
        recognize({name: torch.zeros(2, 2) for name in names})
    assert f"named as in {maker}" in caught.value.message
    assert command in caught.value.hint
    assert "ONNX" in caught.value.hint or "onnx" in caught.value.hint


def without_bias() -> dict[str, Tensor]:
    return {name: tensor for name, tensor in random_state_dict().items() if name != "fc.bias"}


def test_a_known_backbone_with_an_incomplete_classifier_is_refused() -> None:
    with pytest.raises(KeysDoNotFit, match=r"not a resnet8: missing 1 \(fc\.bias\)"):
        recognize(without_bias())


def test_the_variant_of_a_named_architecture_is_found() -> None:
    weights = random_state_dict("resnet20", 10, {"shortcut": "pad"})
    assert recognize(weights, architecture="resnet20").options == {"shortcut": "pad"}
    assert (
        recognize(weights, architecture="resnet20", options={"shortcut": "pad"}).num_classes == 10
    )


def test_a_wrong_architecture_lists_the_differences_and_suggests_the_right_one() -> None:
    with pytest.raises(KeysDoNotFit) as caught:
        recognize(random_state_dict("resnet20"), architecture="resnet8")
    assert (
        "not a resnet8: unexpected 72 (layer1.1.conv1.weight, layer1.1.bn1.weight, layer1.1"
        in caught.value.message
    )
    assert "those of resnet20" in caught.value.hint
    assert caught.value.pointer == "/teacher/architecture"


def test_every_kind_of_mismatch_is_in_the_message() -> None:
    with pytest.raises(KeysDoNotFit) as caught:
        recognize(random_state_dict("resnet8"), architecture="vgg8")
    assert "missing 30 (block0.0.weight, " in caught.value.message
    assert "unexpected 54 (conv1.weight, " in caught.value.message
    assert (
        "of different shape 1 (classifier.weight: (10, 64) in the file, (10, 512) in the network)"
        in caught.value.message
    )


def test_another_variant_than_requested_is_refused() -> None:
    with pytest.raises(KeysDoNotFit, match="unexpected 12"):
        recognize(random_state_dict("resnet8"), architecture="resnet8", options={"shortcut": "pad"})


@pytest.mark.parametrize("named", ["resnet8", None])
def test_without_a_classifier_in_the_file_there_are_no_classes_and_a_notice(
    named: str | None,
) -> None:
    weights = {
        name: tensor for name, tensor in random_state_dict().items() if not name.startswith("fc.")
    }
    model = recognize(weights, architecture=named)
    assert (model.architecture, model.num_classes) == ("resnet8", 0)
    assert "without a classifier" in model.notices[0]


def test_another_number_of_classes_than_expected_is_refused() -> None:
    assert recognize(random_state_dict(), num_classes=10).num_classes == 10
    with pytest.raises(ClassesDoNotFit, match="has 10 classes, not 7") as caught:
        recognize(random_state_dict(), num_classes=7)
    assert caught.value.pointer == "/num_classes"


def test_an_unknown_name_and_unknown_options_are_refused() -> None:
    with pytest.raises(UnknownChoice) as unknown:
        recognize(random_state_dict(), architecture="resnet21")
    assert "resnet20" in unknown.value.hint
    with pytest.raises(SpecError, match="resnet8 does not accept these options") as caught:
        recognize(random_state_dict(), architecture="resnet8", options={"shortcut": "none"})
    assert caught.value.pointer == "/teacher/options"
