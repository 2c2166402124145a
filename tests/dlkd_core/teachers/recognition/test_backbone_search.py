"""Tests for finding the backbone in checkpoints of common self-supervised training scripts."""

from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from dlkd_core.errors import ArchitectureUnknown, ClassesDoNotFit, KeysDoNotFit
from dlkd_core.models import FeatureExtractor
from dlkd_core.spec import Normalization
from dlkd_core.teachers.loading import inspect_teacher, load_teacher_file
from dlkd_core.teachers.recognition.backbone_search import find_backbone
from dlkd_core.teachers.recognition.fingerprints import all_fingerprints
from dlkd_core.teachers.recognition.recognizer import recognize
from tests.dlkd_core.teachers.sample_checkpoints import (
    random_network,
    random_state_dict,
    save_torch,
)

State = dict[str, Tensor]
IMAGES = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
IDENTITY = Normalization(mean=(0, 0, 0), std=(1, 1, 1))


def backbone(architecture: str = "resnet8") -> State:
    network = random_network(architecture)
    return {
        name: tensor
        for name, tensor in network.module.state_dict().items()
        if not name.startswith(network.classifier)
    }


def add_prefix(prefix: str, weights: State) -> State:
    return {prefix + name: tensor for name, tensor in weights.items()}


def different_weights(weights: State) -> State:
    """Return weights with the same names and shapes but different values."""
    return {name: tensor + 1 for name, tensor in weights.items()}


def mlp(name: str, width: int = 64) -> State:
    """Return the random weights of a two-layer projection head."""
    return {
        f"{name}.0.weight": torch.rand(width, width),
        f"{name}.0.bias": torch.rand(width),
        f"{name}.2.weight": torch.rand(128, width),
        f"{name}.2.bias": torch.rand(128),
    }


def moco(weights: State) -> Any:
    heads = {
        **add_prefix("module.encoder_q.", mlp("fc")),
        **add_prefix("module.encoder_k.", mlp("fc")),
    }
    memory = {
        "module.queue": torch.rand(128, 512),
        "module.queue_ptr": torch.zeros(1, dtype=torch.int64),
    }
    encoders = {
        **add_prefix("module.encoder_k.", different_weights(weights)),
        **add_prefix("module.encoder_q.", weights),
    }
    return {
        "epoch": 200,
        "arch": "resnet50",
        "state_dict": {**encoders, **heads, **memory},
        "optimizer": {"param_groups": []},
    }


def dino(weights: State) -> Any:
    def branch(own: State) -> State:
        return {
            **add_prefix("module.backbone.", own),
            **add_prefix("module.head.", mlp("mlp")),
            "module.head.last_layer.weight_v": torch.rand(9, 64),
        }

    loss = {"center": torch.zeros(1, 9)}
    return {
        "student": branch(different_weights(weights)),
        "teacher": branch(weights),
        "dino_loss": loss,
        "args": Namespace(arch="x", lr=0.1),
    }


LAYOUTS: dict[str, Callable[[State], Any]] = {
    "MoCo v2": moco,
    "SimCLR, encoder": lambda w: {"state_dict": {**add_prefix("encoder.", w), **mlp("projector")}},
    "SimCLR, backbone": lambda w: {**add_prefix("backbone.", w), **mlp("projection_head")},
    "SwAV": lambda w: add_prefix(
        "module.", {**w, **mlp("projection_head"), "prototypes.weight": torch.rand(300, 128)}
    ),
    "DINO": dino,
    "DINO, backbone alone": lambda w: w,
    "BYOL, networks": lambda w: {
        **add_prefix("target_network.encoder.", different_weights(w)),
        **add_prefix("online_network.encoder.", w),
        **add_prefix("online_network.", mlp("projector")),
        **mlp("predictor"),
    },
    "BYOL, encoders": lambda w: {
        **add_prefix("target_encoder.net.", different_weights(w)),
        **add_prefix("online_encoder.net.", w),
        **mlp("online_encoder.projector"),
        **mlp("online_predictor"),
    },
    "Lightning": lambda w: {
        "state_dict": {**add_prefix("model.", w), **mlp("projector")},
        "epoch": 3,
        "global_step": 7,
    },
    "Lightning, momentum encoder": lambda w: {
        "state_dict": {
            **add_prefix("momentum_backbone.", different_weights(w)),
            **add_prefix("backbone.", w),
            **mlp("projector"),
        }
    },
    "moving average": lambda w: {
        "state_dict": {**different_weights(w), **mlp("head")},
        "state_dict_ema": {**w, **mlp("head")},
    },
    "student and head": lambda w: {"model": {**add_prefix("student.", w), **mlp("student.head")}},
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("named", [None, "resnet8"])
def test_the_published_encoder_is_found_in_every_layout(
    tmp_path: Path, layout: str, named: str | None
) -> None:
    loaded = load_teacher_file(
        save_torch(tmp_path / "a.pth", LAYOUTS[layout](backbone())), architecture=named
    )
    assert (loaded.architecture, loaded.num_classes) == ("resnet8", 0)
    outputs = loaded.source.build_extractor(IDENTITY, torch.device("cpu"))(IMAGES)
    own = random_network()
    expected = FeatureExtractor(own, IDENTITY.mean, IDENTITY.std).eval()(IMAGES)
    assert outputs.logits.shape == (2, 0)
    torch.testing.assert_close(outputs.features, expected.features)
    torch.testing.assert_close(list(outputs.feature_maps), list(expected.feature_maps))
    assert loaded.parameters == sum(weight.numel() for weight in own.module.parameters()) - 650


@pytest.mark.parametrize(
    "architecture",
    [
        "resnet18",
        "resnet50",
        "vit_b_16",
        "wrn_16_1",
        "vgg8",
        "MobileNetV2",
        "timm/deit_tiny_patch16_224",
    ],
)
def test_backbones_of_every_family_are_recognized_without_their_classifier(
    architecture: str,
) -> None:
    weights = {**add_prefix("encoder_q.", backbone(architecture)), **mlp("encoder_q.projector")}
    model = recognize(weights)
    assert (model.architecture, model.num_classes) == (architecture, 0)
    assert model.notices[0].endswith("encoder_q.projector (4).")


def test_the_notice_lists_the_ignored_tensors() -> None:
    match = find_backbone(
        {
            name.removeprefix("module."): tensor
            for name, tensor in moco(backbone())["state_dict"].items()
        },
        all_fingerprints(),
    )
    assert match is not None
    count = len(backbone())
    assert match.prefix == "encoder_q"
    assert match.describe() == (
        "The checkpoint holds the layers of resnet8 under encoder_q without a classifier. "
        "The student learns from its features. "
        f"Ignored tensors: encoder_k ({count + 4}), encoder_q.fc (4), queue (1), queue_ptr (1)."
    )


def test_a_whole_network_under_a_prefix_keeps_its_classifier() -> None:
    model = recognize(add_prefix("student.", random_state_dict("resnet8", 7)))
    assert (model.num_classes, model.notices) == (7, ())
    assert (
        recognize(
            add_prefix("encoder.", random_state_dict("resnet8", 7)), architecture="resnet8"
        ).num_classes
        == 7
    )


def test_a_projection_head_with_the_classifiers_name_is_not_a_classifier() -> None:
    assert recognize(add_prefix("encoder_q.", random_state_dict("resnet8", 128))).num_classes == 0


def test_layers_of_an_unknown_network_are_unknown_under_any_prefix() -> None:
    weights = add_prefix("encoder_q.", {**backbone(), "layer3.9.conv1.weight": torch.zeros(3)})
    with pytest.raises(ArchitectureUnknown):
        recognize(weights)
    with pytest.raises(KeysDoNotFit):
        recognize(add_prefix("encoder_q.", backbone()), architecture="vgg8")


def test_an_expected_number_of_classes_is_refused_without_a_classifier() -> None:
    with pytest.raises(ClassesDoNotFit):
        recognize(backbone(), num_classes=10)


def test_inspection_reports_zero_classes(tmp_path: Path) -> None:
    description = inspect_teacher(save_torch(tmp_path / "a.pth", moco(backbone())))
    assert (description["architecture"], description["num_classes"]) == ("resnet8", 0)
    assert "without a classifier" in description["notices"][0]
