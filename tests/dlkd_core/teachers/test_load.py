"""From a file to the network that made it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from dlkd_core.errors import KeysDoNotFit, TeacherError
from dlkd_core.models import Tapped
from dlkd_core.spec import Normalization
from dlkd_core.teachers.load import LoadedTeacher, inspect_teacher, load_teacher

from .checkpoints import network, saved, state

IMAGES = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
State = dict[str, Tensor]
PLAIN = Normalization(mean=(0, 0, 0), std=(1, 1, 1))


def tapped(loaded: LoadedTeacher) -> Tapped:
    """The teacher at work, on images as they are."""
    made = loaded.source.tapped(PLAIN, torch.device("cpu"))
    assert isinstance(made, Tapped)
    return made


def logits(loaded: LoadedTeacher) -> Tensor:
    return tapped(loaded).logits(IMAGES)


def prefixed(prefix: str) -> Callable[[State], State]:
    return lambda weights: {prefix + name: tensor for name, tensor in weights.items()}


def optimizer_state(weights: State) -> dict[str, Any]:
    return {"state": {0: {"momentum_buffer": weights["conv1.weight"]}}, "param_groups": [{"params": [0]}]}


WRAPPINGS: dict[str, Callable[[State], Any]] = {
    "plain": lambda weights: weights,
    "state_dict": lambda weights: {"state_dict": weights, "best_prec1": 91.7},
    "model": lambda weights: {"model": weights, "optimizer": optimizer_state(weights), "epoch": 240, "accuracy": 0.9},
    "DataParallel": lambda weights: {"state_dict": prefixed("module.")(weights)},
    "torch.compile": prefixed("_orig_mod."),
    "compiled in parallel": lambda weights: {"net": prefixed("module._orig_mod.")(weights)},
    "an attribute of a class": lambda weights: {"state_dict": prefixed("model.")(weights)},
    "nested": lambda weights: {"checkpoint": {"model": {"state_dict": weights}, "optimizer": optimizer_state(weights)}},
    "half precision": lambda weights: {n: t.half() if t.is_floating_point() else t for n, t in weights.items()},
    "parameters": lambda weights: {n: torch.nn.Parameter(t, requires_grad=t.is_floating_point()) for n, t in weights.items()},
}


@pytest.mark.parametrize("shortcut", ["conv", "pad"])
@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_the_network_is_found_in_every_wrapping_and_says_the_same(tmp_path: Path, wrapping: str, shortcut: str) -> None:
    original = network("resnet20", 10, {"shortcut": shortcut}).module
    path = saved(tmp_path / "a.pth", WRAPPINGS[wrapping](dict(original.state_dict())))
    loaded = load_teacher(path)
    assert (loaded.format, loaded.architecture, loaded.options) == ("torch", "resnet20", {"shortcut": shortcut})
    assert loaded.num_classes == 10
    assert loaded.parameters == sum(parameter.numel() for parameter in original.parameters())
    tolerance = 0.02 if wrapping == "half precision" else 1e-5
    assert original(IMAGES).std(dim=0).min() > 1e-3  # other images, other logits
    torch.testing.assert_close(logits(loaded), original(IMAGES), rtol=tolerance, atol=tolerance)


def test_legacy_files_and_safetensors_give_the_same_network(tmp_path: Path) -> None:
    original = network().module
    saved(tmp_path / "legacy.th", {"state_dict": original.state_dict()}, legacy=True)
    save_file(original.state_dict(), tmp_path / "a.safetensors")
    for name, kind in (("legacy.th", "torch"), ("a.safetensors", "safetensors")):
        loaded = load_teacher(tmp_path / name)
        assert loaded.format == kind
        torch.testing.assert_close(logits(loaded), original(IMAGES))


def test_a_loaded_network_is_whole_in_float32_and_evaluates(tmp_path: Path) -> None:
    half = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in state().items()}
    network = tapped(load_teacher(saved(tmp_path / "a.pth", half)))
    assert {tensor.dtype for tensor in network.state_dict().values()} == {torch.float32, torch.int64}
    assert not any(tensor.is_meta for tensor in network.state_dict().values())
    assert not any(module.training for module in network.modules())
    assert not any(weight.requires_grad for weight in network.parameters())


def test_loading_takes_no_random_numbers(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.pth", state())
    before = torch.get_rng_state()
    load_teacher(path)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_torchvision_network_with_tables_of_its_own_is_put_together(tmp_path: Path) -> None:
    original = network("swin_t", 5).module
    older = {name: tensor for name, tensor in original.state_dict().items() if "relative_position_index" not in name}
    loaded = load_teacher(saved(tmp_path / "a.pth", older))
    torch.testing.assert_close(logits(loaded), original(IMAGES))


def test_what_is_said_of_a_checkpoint_is_held_against_it(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.pth", state("resnet8", 10, {"shortcut": "pad"}))
    assert load_teacher(path, architecture="resnet8", num_classes=10).options == {"shortcut": "pad"}
    with pytest.raises(KeysDoNotFit):
        load_teacher(path, architecture="resnet8", options={"shortcut": "conv"})
    with pytest.raises(TeacherError):
        load_teacher(path, num_classes=11)


def test_the_check_of_an_upload_says_what_it_is_as_plain_data(tmp_path: Path) -> None:
    expected = {"format": "torch", "architecture": "resnet8", "options": {"shortcut": "conv"}, "num_classes": 10}
    assert inspect_teacher(saved(tmp_path / "a.pth", state())) == {**expected, "parameters": 78_042}


def test_whole_numbers_for_weights_are_refused(tmp_path: Path) -> None:
    weights = {**state(), "fc.weight": torch.ones(10, 64, dtype=torch.int64)}
    with pytest.raises(KeysDoNotFit, match="of int64 in the file"):
        load_teacher(saved(tmp_path / "a.pth", weights))
