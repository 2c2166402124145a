"""Tests for classifiers under unusual names and beside tensors of other modules."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from dlkd_core.errors import CheckpointRefused
from dlkd_core.models import build_network
from dlkd_core.teachers.reading.checkpoint_reader import read_checkpoint
from dlkd_core.teachers.recognition.recognizer import RecognizedModel, recognize

CLASSES = 4
Tensors = dict[str, Tensor]


@pytest.fixture(scope="module")
def weights() -> Tensors:
    torch.manual_seed(0)
    return build_network("resnet18", CLASSES).module.state_dict()


def read(tmp_path: Path, tensors: Tensors) -> RecognizedModel:
    torch.save({name: tensor.clone() for name, tensor in tensors.items()}, tmp_path / "model.pth")
    return recognize(read_checkpoint(tmp_path / "model.pth").tensors)


def rename(weights: Tensors, old: str, new: str) -> Tensors:
    return {
        new + name.removeprefix(old) if name.startswith(old) else name: tensor
        for name, tensor in weights.items()
    }


def add_prefix(weights: Tensors, prefix: str, *, but: str = "fc.") -> Tensors:
    """Add a prefix to the names of all layers but one."""
    return {
        name if name.startswith(but) else prefix + name: tensor for name, tensor in weights.items()
    }


LAYOUTS: dict[str, Callable[[Tensors], Tensors]] = {
    "dropout before the last layer": lambda w: rename(w, "fc.", "fc.1."),
    "another name": lambda w: rename(w, "fc.", "my_head.out."),
    "a head beside an encoder": lambda w: rename(add_prefix(w, "encoder."), "fc.", "head."),
    "a classifier beside a backbone": lambda w: rename(
        add_prefix(w, "backbone."), "fc.", "classifier."
    ),
    "the same beside a backbone": lambda w: add_prefix(w, "backbone."),
    "a dropout inside a backbone": lambda w: rename(
        add_prefix(w, "backbone.", but="none"), "backbone.fc.", "backbone.fc.1."
    ),
    "inside a class": lambda w: add_prefix(w, "self_model.resnet.", but="none"),
    "a loss with class weights and a metric": lambda w: (
        add_prefix(w, "model.", but="none")
        | {"criterion.weight": torch.ones(CLASSES), "val_acc.tp": torch.tensor(3)}
    ),
    "an averaged model": lambda w: (
        add_prefix(w, "module.", but="none") | {"n_averaged": torch.tensor(7)}
    ),
    "FSDP": lambda w: add_prefix(
        rename(w, "layer1.0.", "layer1.0._fsdp_wrapped_module."), "_fsdp_wrapped_module.", but="no"
    ),
    "activation checkpointing": lambda w: rename(
        w, "layer2.", "layer2._checkpoint_wrapped_module."
    ),
    "compiled and parallel": lambda w: add_prefix(w, "module._orig_mod.", but="none"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_classifier_is_found(tmp_path: Path, weights: Tensors, layout: str) -> None:
    model = read(tmp_path, LAYOUTS[layout](weights))
    assert (model.architecture, model.num_classes) == ("resnet18", CLASSES)
    assert torch.equal(model.tensors["fc.weight"], weights["fc.weight"])
    assert torch.equal(model.tensors["fc.bias"], weights["fc.bias"])


def test_left_out_tensors_and_an_unusual_classifier_are_stated(
    tmp_path: Path, weights: Tensors
) -> None:
    tensors = rename(weights, "fc.", "fc.1.") | {"criterion.weight": torch.ones(CLASSES)}
    notice, fits = read(tmp_path, tensors).notices
    assert "Its classifier is fc.1. Ignored tensors: criterion (1)." in notice
    assert read(tmp_path, add_prefix(weights, "model.", but="none")).notices == (fits,)


def test_a_classifier_without_a_bias_is_found_under_its_own_name_only(
    tmp_path: Path, weights: Tensors
) -> None:
    tensors = {name: tensor for name, tensor in weights.items() if name != "fc.bias"}
    notice, _ = read(tmp_path, rename(tensors, "fc.", "fc.1.")).notices
    assert "without a classifier" in notice
    assert "fc (1)" in notice


@pytest.mark.parametrize(
    "heads",
    [
        {"projection.weight": (128, 512), "projection.bias": (128,)},
        {"fc.0.weight": (512, 512), "fc.2.weight": (4, 512), "fc.2.bias": (4,)},
        {"pose.weight": (4, 300), "pose.bias": (4,)},
    ],
    ids=["a projection", "two layers", "another width"],
)
def test_other_heads_are_no_classifiers_and_are_listed(
    tmp_path: Path, weights: Tensors, heads: dict[str, tuple[int, ...]]
) -> None:
    layers = {name: tensor for name, tensor in weights.items() if not name.startswith("fc.")}
    model = read(tmp_path, layers | {name: torch.rand(shape) for name, shape in heads.items()})
    assert model.num_classes == 0
    assert "Ignored tensors" in model.notices[0]


NORMS: dict[str, Callable[[nn.Module], nn.Module]] = {
    "weight norm": nn.utils.weight_norm,
    "spectral norm": nn.utils.spectral_norm,
    "parametrized weight norm": nn.utils.parametrizations.weight_norm,
    "parametrized spectral norm": nn.utils.parametrizations.spectral_norm,
}


@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
@pytest.mark.parametrize("norm", NORMS)
def test_weights_with_a_norm_are_merged(tmp_path: Path, norm: str) -> None:
    torch.manual_seed(0)
    module = build_network("resnet18", CLASSES).module.eval()
    module.fc = NORMS[norm](module.fc)
    module.layer1[0].conv1 = NORMS[norm](module.layer1[0].conv1)
    module.eval()
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        expected = module(images)
    model = read(tmp_path, module.state_dict())
    assert model.num_classes == CLASSES
    plain = build_network("resnet18", CLASSES).module.eval()
    plain.load_state_dict(model.tensors)
    with torch.no_grad():
        torch.testing.assert_close(plain(images), expected, rtol=1e-4, atol=1e-5)


def test_incomplete_norms_are_refused(tmp_path: Path, weights: Tensors) -> None:
    tensors = {name: tensor for name, tensor in weights.items() if name != "fc.weight"}
    broken = {"fc.weight_g": torch.ones(7), "fc.weight_v": torch.rand(4, 512)}
    with pytest.raises(CheckpointRefused, match=r"lengths of shape \(7,\)") as refused:
        read(tmp_path, tensors | broken)
    assert "remove_weight_norm" in refused.value.hint
