"""Tests that loading a teacher file returns the network that was saved."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from dlkd_core.errors import KeysDoNotFit, TeacherError
from dlkd_core.models import FeatureExtractor
from dlkd_core.spec import Normalization
from dlkd_core.teachers.loading import LoadedTeacher, inspect_teacher, load_teacher_file
from tests.dlkd_core.teachers.sample_checkpoints import (
    random_network,
    random_state_dict,
    save_torch,
)

IMAGES = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
State = dict[str, Tensor]
IDENTITY = Normalization(mean=(0, 0, 0), std=(1, 1, 1))


def make_extractor(loaded: LoadedTeacher) -> FeatureExtractor:
    extractor = loaded.source.build_extractor(IDENTITY, torch.device("cpu"))
    assert isinstance(extractor, FeatureExtractor)
    return extractor


def logits(loaded: LoadedTeacher) -> Tensor:
    return make_extractor(loaded).logits(IMAGES)


def add_prefix(prefix: str) -> Callable[[State], State]:
    return lambda weights: {prefix + name: tensor for name, tensor in weights.items()}


def optimizer_state(weights: State) -> dict[str, Any]:
    return {
        "state": {0: {"momentum_buffer": weights["conv1.weight"]}},
        "param_groups": [{"params": [0]}],
    }


WRAPPINGS: dict[str, Callable[[State], Any]] = {
    "plain": lambda weights: weights,
    "state_dict": lambda weights: {"state_dict": weights, "best_prec1": 91.7},
    "model": lambda weights: {
        "model": weights,
        "optimizer": optimizer_state(weights),
        "epoch": 240,
        "accuracy": 0.9,
    },
    "DataParallel": lambda weights: {"state_dict": add_prefix("module.")(weights)},
    "torch.compile": add_prefix("_orig_mod."),
    "compiled in parallel": lambda weights: {"net": add_prefix("module._orig_mod.")(weights)},
    "an attribute of a class": lambda weights: {"state_dict": add_prefix("model.")(weights)},
    "nested": lambda weights: {
        "checkpoint": {"model": {"state_dict": weights}, "optimizer": optimizer_state(weights)}
    },
    "half precision": lambda weights: {
        name: tensor.half() if tensor.is_floating_point() else tensor
        for name, tensor in weights.items()
    },
    "parameters": lambda weights: {
        name: torch.nn.Parameter(tensor, requires_grad=tensor.is_floating_point())
        for name, tensor in weights.items()
    },
}


@pytest.mark.parametrize("shortcut", ["conv", "pad"])
@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_the_network_is_found_in_every_wrapping_with_the_same_logits(
    tmp_path: Path, wrapping: str, shortcut: str
) -> None:
    original = random_network("resnet20", 10, {"shortcut": shortcut}).module
    path = save_torch(tmp_path / "a.pth", WRAPPINGS[wrapping](dict(original.state_dict())))
    loaded = load_teacher_file(path)
    assert (loaded.format, loaded.architecture, loaded.options) == (
        "torch",
        "resnet20",
        {"shortcut": shortcut},
    )
    assert loaded.num_classes == 10
    assert loaded.parameters == sum(parameter.numel() for parameter in original.parameters())
    tolerance = 0.02 if wrapping == "half precision" else 1e-5
    assert original(IMAGES).std(dim=0).min() > 1e-3  # the logits differ between images
    torch.testing.assert_close(logits(loaded), original(IMAGES), rtol=tolerance, atol=tolerance)


def test_legacy_files_and_safetensors_give_the_same_network(tmp_path: Path) -> None:
    original = random_network().module
    save_torch(tmp_path / "legacy.th", {"state_dict": original.state_dict()}, legacy=True)
    save_file(original.state_dict(), tmp_path / "a.safetensors")
    for name, file_format in (("legacy.th", "torch"), ("a.safetensors", "safetensors")):
        loaded = load_teacher_file(tmp_path / name)
        assert loaded.format == file_format
        torch.testing.assert_close(logits(loaded), original(IMAGES))


def test_a_loaded_network_is_complete_in_float32_and_in_evaluation_mode(tmp_path: Path) -> None:
    half = {
        name: tensor.half() if tensor.is_floating_point() else tensor
        for name, tensor in random_state_dict().items()
    }
    network = make_extractor(load_teacher_file(save_torch(tmp_path / "a.pth", half)))
    assert {tensor.dtype for tensor in network.state_dict().values()} == {
        torch.float32,
        torch.int64,
    }
    assert not any(tensor.is_meta for tensor in network.state_dict().values())
    assert not any(module.training for module in network.modules())
    assert not any(weight.requires_grad for weight in network.parameters())


def test_loading_does_not_advance_the_random_generator(tmp_path: Path) -> None:
    path = save_torch(tmp_path / "a.pth", random_state_dict())
    before = torch.get_rng_state()
    load_teacher_file(path)
    assert torch.equal(torch.get_rng_state(), before)


def test_computed_buffers_that_the_file_lacks_are_filled_in(tmp_path: Path) -> None:
    original = random_network("swin_t", 5).module
    without_index = {
        name: tensor
        for name, tensor in original.state_dict().items()
        if "relative_position_index" not in name
    }
    loaded = load_teacher_file(save_torch(tmp_path / "a.pth", without_index))
    torch.testing.assert_close(logits(loaded), original(IMAGES))


def test_a_checkpoint_that_contradicts_the_arguments_is_refused(tmp_path: Path) -> None:
    path = save_torch(tmp_path / "a.pth", random_state_dict("resnet8", 10, {"shortcut": "pad"}))
    assert load_teacher_file(path, architecture="resnet8", num_classes=10).options == {
        "shortcut": "pad"
    }
    with pytest.raises(KeysDoNotFit):
        load_teacher_file(path, architecture="resnet8", options={"shortcut": "conv"})
    with pytest.raises(TeacherError):
        load_teacher_file(path, num_classes=11)


def test_the_check_of_an_upload_returns_plain_data(tmp_path: Path) -> None:
    expected = {
        "format": "torch",
        "architecture": "resnet8",
        "options": {"shortcut": "conv"},
        "num_classes": 10,
    }
    assert inspect_teacher(save_torch(tmp_path / "a.pth", random_state_dict())) == {
        **expected,
        "parameters": 78_042,
        "notices": [],
        "alternatives": [],
    }


@pytest.mark.parametrize("name", ["resnetblur18", "levit_128s"])
def test_networks_with_buffers_outside_the_state_dict_are_complete(
    tmp_path: Path, name: str
) -> None:
    original = random_network(f"timm/{name}", 3).module
    path = save_torch(tmp_path / "a.pth", original.state_dict())
    loaded = load_teacher_file(path, architecture=f"timm/{name}")
    network, images = make_extractor(loaded).network, torch.rand(1, 3, 224, 224)
    with torch.no_grad():
        torch.testing.assert_close(network(images), original(images))


def test_integer_weights_are_refused(tmp_path: Path) -> None:
    weights = {**random_state_dict(), "fc.weight": torch.ones(10, 64, dtype=torch.int64)}
    with pytest.raises(KeysDoNotFit, match="of int64 in the file"):
        load_teacher_file(save_torch(tmp_path / "a.pth", weights))
