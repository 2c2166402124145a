"""Checkpoints of self-supervised training, in the layouts that their scripts write."""

from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from dlkd_core.errors import ArchitectureUnknown, ClassesDoNotFit, KeysDoNotFit
from dlkd_core.models import Tapped
from dlkd_core.spec import Normalization
from dlkd_core.teachers.backbones import find_backbone
from dlkd_core.teachers.fingerprints import known
from dlkd_core.teachers.load import inspect_teacher, load_teacher
from dlkd_core.teachers.recognise import recognise

from .checkpoints import network, saved, state

State = dict[str, Tensor]
IMAGES = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
PLAIN = Normalization(mean=(0, 0, 0), std=(1, 1, 1))


def backbone(architecture: str = "resnet8") -> State:
    drawn = network(architecture)
    return {name: one for name, one in drawn.module.state_dict().items() if not name.startswith(drawn.classifier)}


def under(prefix: str, weights: State) -> State:
    return {prefix + name: tensor for name, tensor in weights.items()}


def other(weights: State) -> State:
    """A network of the same shapes with other weights."""
    return {name: tensor + 1 for name, tensor in weights.items()}


def mlp(name: str, width: int = 64) -> State:
    """A projection head of two layers."""
    return {
        f"{name}.0.weight": torch.rand(width, width),
        f"{name}.0.bias": torch.rand(width),
        f"{name}.2.weight": torch.rand(128, width),
        f"{name}.2.bias": torch.rand(128),
    }


def moco(weights: State) -> Any:
    heads = {**under("module.encoder_q.", mlp("fc")), **under("module.encoder_k.", mlp("fc"))}
    memory = {"module.queue": torch.rand(128, 512), "module.queue_ptr": torch.zeros(1, dtype=torch.int64)}
    encoders = {**under("module.encoder_k.", other(weights)), **under("module.encoder_q.", weights)}
    return {"epoch": 200, "arch": "resnet50", "state_dict": {**encoders, **heads, **memory}, "optimizer": {"param_groups": []}}


def dino(weights: State) -> Any:
    def side(own: State) -> State:
        return {
            **under("module.backbone.", own),
            **under("module.head.", mlp("mlp")),
            "module.head.last_layer.weight_v": torch.rand(9, 64),
        }

    loss = {"center": torch.zeros(1, 9)}
    return {"student": side(other(weights)), "teacher": side(weights), "dino_loss": loss, "args": Namespace(arch="x", lr=0.1)}


LAYOUTS: dict[str, Callable[[State], Any]] = {
    "MoCo v2": moco,
    "SimCLR, encoder": lambda w: {"state_dict": {**under("encoder.", w), **mlp("projector")}},
    "SimCLR, backbone": lambda w: {**under("backbone.", w), **mlp("projection_head")},
    "SwAV": lambda w: under("module.", {**w, **mlp("projection_head"), "prototypes.weight": torch.rand(300, 128)}),
    "DINO": dino,
    "DINO, backbone alone": lambda w: w,
    "BYOL, networks": lambda w: {
        **under("target_network.encoder.", other(w)),
        **under("online_network.encoder.", w),
        **under("online_network.", mlp("projector")),
        **mlp("predictor"),
    },
    "BYOL, encoders": lambda w: {
        **under("target_encoder.net.", other(w)),
        **under("online_encoder.net.", w),
        **mlp("online_encoder.projector"),
        **mlp("online_predictor"),
    },
    "Lightning": lambda w: {"state_dict": {**under("model.", w), **mlp("projector")}, "epoch": 3, "global_step": 7},
    "Lightning, momentum encoder": lambda w: {
        "state_dict": {**under("momentum_backbone.", other(w)), **under("backbone.", w), **mlp("projector")}
    },
    "moving average": lambda w: {"state_dict": {**other(w), **mlp("head")}, "state_dict_ema": {**w, **mlp("head")}},
    "student and head": lambda w: {"model": {**under("student.", w), **mlp("student.head")}},
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("named", [None, "resnet8"])
def test_the_encoder_that_its_method_publishes_is_found_in_every_layout(tmp_path: Path, layout: str, named: str | None) -> None:
    loaded = load_teacher(saved(tmp_path / "a.pth", LAYOUTS[layout](backbone())), architecture=named)
    assert (loaded.architecture, loaded.num_classes) == ("resnet8", 0)
    shown = loaded.source.tapped(PLAIN, torch.device("cpu"))(IMAGES)
    own = network()
    expected = Tapped(own, PLAIN.mean, PLAIN.std).eval()(IMAGES)
    assert shown.logits.shape == (2, 0)
    torch.testing.assert_close(shown.features, expected.features)
    torch.testing.assert_close(list(shown.maps), list(expected.maps))
    assert loaded.parameters == sum(one.numel() for one in own.module.parameters()) - 650


@pytest.mark.parametrize(
    "architecture", ["resnet18", "resnet50", "vit_b_16", "wrn_16_1", "vgg8", "MobileNetV2", "timm/deit_tiny_patch16_224"]
)
def test_backbones_of_the_catalogs_families_are_recognised_without_their_classifiers(architecture: str) -> None:
    weights = {**under("encoder_q.", backbone(architecture)), **mlp("encoder_q.projector")}
    found = recognise(weights)
    assert (found.architecture, found.num_classes) == (architecture, 0)
    assert found.notices[0].endswith("encoder_q.projector (4).")


def test_the_notice_lists_what_was_left_out() -> None:
    found = find_backbone({name.removeprefix("module."): one for name, one in moco(backbone())["state_dict"].items()}, known())
    assert found is not None
    count = len(backbone())
    assert found.prefix == "encoder_q"
    assert found.described() == (
        "The checkpoint holds the layers of resnet8 under encoder_q, without a classifier: its features teach; "
        f"tensors left out: encoder_k ({count + 4}), encoder_q.fc (4), queue (1), queue_ptr (1)."
    )


def test_a_network_under_a_mere_prefix_keeps_its_classifier() -> None:
    found = recognise(under("student.", state("resnet8", 7)))
    assert (found.num_classes, found.notices) == (7, ())
    assert recognise(under("encoder.", state("resnet8", 7)), architecture="resnet8").num_classes == 7


def test_a_projection_under_the_classifiers_name_is_none() -> None:
    assert recognise(under("encoder_q.", state("resnet8", 128))).num_classes == 0


def test_layers_that_are_no_network_of_the_catalog_are_unknown_under_any_prefix() -> None:
    weights = under("encoder_q.", {**backbone(), "layer3.9.conv1.weight": torch.zeros(3)})
    with pytest.raises(ArchitectureUnknown):
        recognise(weights)
    with pytest.raises(KeysDoNotFit):
        recognise(under("encoder_q.", backbone()), architecture="vgg8")


def test_who_tells_a_number_of_classes_is_told_that_there_are_none() -> None:
    with pytest.raises(ClassesDoNotFit):
        recognise(backbone(), num_classes=10)


def test_the_check_of_an_upload_says_that_it_has_no_classes(tmp_path: Path) -> None:
    found = inspect_teacher(saved(tmp_path / "a.pth", moco(backbone())))
    assert (found["architecture"], found["num_classes"]) == ("resnet8", 0)
