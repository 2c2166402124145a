"""Checkpoints of strangers become dense, finite tensors, or are refused."""

import struct
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from dlkd_core.errors import CheckpointRefused, CheckpointUnreadable
from dlkd_core.teachers.read import read_checkpoint

from .checkpoints import headed, saved, state


@pytest.mark.parametrize("name", ["a.safetensors", "a.pth", "a"])
def test_the_content_says_what_a_file_is_and_not_its_name(tmp_path: Path, name: str) -> None:
    save_file(state(), tmp_path / name)
    assert read_checkpoint(tmp_path / name).format == "safetensors"
    assert read_checkpoint(saved(tmp_path / name, {"state_dict": state()})).format == "torch"


def test_weights_keep_their_values_and_types_and_lose_their_prefixes(tmp_path: Path) -> None:
    weights = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in state().items()}
    read = read_checkpoint(saved(tmp_path / "a.pth", {"state_dict": {f"module.{n}": t for n, t in weights.items()}})).tensors
    assert read.keys() == weights.keys()
    assert all(torch.equal(read[name], tensor) and read[name].dtype == tensor.dtype for name, tensor in weights.items())


def with_classifier(change: Callable[[Tensor], Tensor]) -> dict[str, Tensor]:
    weights = state()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch: sparse and quantised tensors are in beta, or on their way out
        return {**weights, "fc.weight": change(weights["fc.weight"])}


def changed(value: float) -> Callable[[Tensor], Tensor]:
    return lambda weight: weight.index_put((torch.tensor(3), torch.tensor(5)), torch.tensor(value))


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (changed(float("nan")), "1 of 56 tensors hold NaN or infinity, the first is fc.weight"),
        (changed(float("inf")), "1 of 56 tensors hold NaN or infinity"),
        (Tensor.to_sparse, "fc.weight is a sparse tensor"),
        (Tensor.to_sparse_csr, "fc.weight is a torch.sparse_csr tensor"),
        (lambda weight: torch.quantize_per_tensor(weight, 0.1, 0, torch.qint8), "fc.weight holds values of type qint8"),
        (lambda weight: weight.to(torch.complex64), "fc.weight holds values of type complex64"),
        (lambda weight: weight.to(torch.float8_e4m3fn), "fc.weight holds values of type float8_e4m3fn"),
        (lambda weight: weight.to("meta"), "fc.weight is a meta tensor"),
        (lambda weight: weight[:1].clone().expand(10, 64), "fc.weight repeats values of a smaller tensor"),
    ],
    ids=["nan", "inf", "sparse", "csr", "quantised", "complex", "float8", "meta", "expanded"],
)
def test_what_no_network_can_be_run_with_is_refused_by_name(
    tmp_path: Path, change: Callable[[Tensor], Tensor], what: str
) -> None:
    file = saved(tmp_path / "a.pth", with_classifier(change))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(CheckpointRefused, match=what):
            read_checkpoint(file)


def test_a_tensor_of_a_terabyte_in_a_small_file_is_refused(tmp_path: Path) -> None:
    file = saved(tmp_path / "a.pth", {"fc.weight": torch.zeros(1).expand(1 << 20, 1 << 20)})
    assert file.stat().st_size < 4096
    with pytest.raises(CheckpointRefused, match="repeats values"):
        read_checkpoint(file)


def test_many_tensors_of_the_same_few_values_are_refused(tmp_path: Path) -> None:
    values = torch.zeros(1000)
    file = saved(tmp_path / "a.pth", {f"layer{number}.weight": values for number in range(100)})
    assert file.stat().st_size < 100 * 4000
    with pytest.raises(CheckpointRefused, match="more values than the file has bytes for"):
        read_checkpoint(file)


def test_a_transposed_or_sliced_tensor_is_taken(tmp_path: Path) -> None:
    read = read_checkpoint(saved(tmp_path / "a.pth", {"a": torch.rand(8, 4).T, "b": torch.rand(100)[10:20]})).tensors
    assert read["a"].shape == (4, 8)
    assert read["b"].shape == (10,)


def test_nan_in_safetensors_is_refused_too(tmp_path: Path) -> None:
    entry = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
    with pytest.raises(CheckpointRefused, match="NaN"):
        read_checkpoint(headed(tmp_path / "a", {"a": entry}, struct.pack("<f", float("nan"))))


def test_a_text_file_called_pth_is_said_to_be_text(tmp_path: Path) -> None:
    (tmp_path / "best.pth").write_text("see the other folder\n")
    with pytest.raises(CheckpointUnreadable, match="it is text"):
        read_checkpoint(tmp_path / "best.pth")


@pytest.mark.parametrize("name", ["absent.pth", "."])
def test_a_path_without_a_file_is_said_to_have_none(tmp_path: Path, name: str) -> None:
    with pytest.raises(CheckpointUnreadable, match="cannot be opened"):
        read_checkpoint(tmp_path / name)
