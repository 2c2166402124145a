"""Tests that the checkpoint reader returns dense, finite tensors or rejects the file."""

import struct
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from dlkd_core.errors import CheckpointRefused, CheckpointUnreadable
from dlkd_core.teachers.reading.checkpoint_reader import read_checkpoint
from tests.dlkd_core.teachers.sample_checkpoints import (
    random_state_dict,
    save_torch,
    write_safetensors,
)


@pytest.mark.parametrize("name", ["a.safetensors", "a.pth", "a"])
def test_the_format_is_detected_from_the_content_not_the_name(tmp_path: Path, name: str) -> None:
    save_file(random_state_dict(), tmp_path / name)
    assert read_checkpoint(tmp_path / name).format == "safetensors"
    assert (
        read_checkpoint(save_torch(tmp_path / name, {"state_dict": random_state_dict()})).format
        == "torch"
    )


def test_weights_keep_values_and_dtypes_and_lose_their_prefixes(tmp_path: Path) -> None:
    weights = {
        name: tensor.half() if tensor.is_floating_point() else tensor
        for name, tensor in random_state_dict().items()
    }
    tensors = read_checkpoint(
        save_torch(
            tmp_path / "a.pth",
            {"state_dict": {f"module.{name}": tensor for name, tensor in weights.items()}},
        )
    ).tensors
    assert tensors.keys() == weights.keys()
    assert all(
        torch.equal(tensors[name], tensor) and tensors[name].dtype == tensor.dtype
        for name, tensor in weights.items()
    )


def with_classifier(change: Callable[[Tensor], Tensor]) -> dict[str, Tensor]:
    weights = random_state_dict()
    with warnings.catch_warnings():
        # torch warns that sparse tensors are in beta and that quantized tensors are deprecated
        warnings.simplefilter("ignore")
        return {**weights, "fc.weight": change(weights["fc.weight"])}


def with_value(value: float) -> Callable[[Tensor], Tensor]:
    return lambda weight: weight.index_put((torch.tensor(3), torch.tensor(5)), torch.tensor(value))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            with_value(float("nan")),
            r"1 of 56 tensors contain NaN or infinity\. The first is fc.weight",
        ),
        (with_value(float("inf")), "1 of 56 tensors contain NaN or infinity"),
        (Tensor.to_sparse, "fc.weight is a sparse tensor"),
        (Tensor.to_sparse_csr, "fc.weight is a torch.sparse_csr tensor"),
        (
            lambda weight: torch.quantize_per_tensor(weight, 0.1, 0, torch.qint8),
            "fc.weight holds values of the unsupported type qint8",
        ),
        (
            lambda weight: weight.to(torch.complex64),
            "fc.weight holds values of the unsupported type complex64",
        ),
        (
            lambda weight: weight.to(torch.float8_e4m3fn),
            "fc.weight holds values of the unsupported type float8_e4m3fn",
        ),
        (lambda weight: weight.to("meta"), "fc.weight is a meta tensor"),
        (
            lambda weight: weight[:1].clone().expand(10, 64),
            "fc.weight is a view that repeats the values of a smaller tensor",
        ),
    ],
    ids=["nan", "inf", "sparse", "csr", "quantized", "complex", "float8", "meta", "expanded"],
)
def test_unusable_tensors_are_refused_by_name(
    tmp_path: Path, change: Callable[[Tensor], Tensor], message: str
) -> None:
    file = save_torch(tmp_path / "a.pth", with_classifier(change))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(CheckpointRefused, match=message):
            read_checkpoint(file)


def test_a_tensor_of_a_terabyte_in_a_small_file_is_refused(tmp_path: Path) -> None:
    file = save_torch(tmp_path / "a.pth", {"fc.weight": torch.zeros(1).expand(1 << 20, 1 << 20)})
    assert file.stat().st_size < 4096
    with pytest.raises(CheckpointRefused, match="repeats the values"):
        read_checkpoint(file)


def test_many_tensors_that_share_a_few_values_are_refused(tmp_path: Path) -> None:
    values = torch.zeros(1000)
    file = save_torch(
        tmp_path / "a.pth", {f"layer{number}.weight": values for number in range(100)}
    )
    assert file.stat().st_size < 100 * 4000
    with pytest.raises(CheckpointRefused, match="more values than the file can hold"):
        read_checkpoint(file)


def test_weights_that_layers_share_are_read(tmp_path: Path) -> None:
    shared = torch.rand(10_000)
    names = ("blocks.0.weight", "blocks.1.weight", "blocks.2.weight")
    file = save_torch(tmp_path / "a.pth", dict.fromkeys(names, shared))
    assert file.stat().st_size < 2 * shared.nbytes
    tensors = read_checkpoint(file).tensors
    assert list(tensors) == list(names)
    assert all(torch.equal(tensor, shared) for tensor in tensors.values())


def test_a_transposed_or_sliced_tensor_is_accepted(tmp_path: Path) -> None:
    tensors = read_checkpoint(
        save_torch(tmp_path / "a.pth", {"a": torch.rand(8, 4).T, "b": torch.rand(100)[10:20]})
    ).tensors
    assert tensors["a"].shape == (4, 8)
    assert tensors["b"].shape == (10,)


def test_nan_in_safetensors_is_refused_too(tmp_path: Path) -> None:
    entry = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
    with pytest.raises(CheckpointRefused, match="NaN"):
        read_checkpoint(
            write_safetensors(tmp_path / "a", {"a": entry}, struct.pack("<f", float("nan")))
        )


def test_a_text_file_named_pth_is_reported_as_text(tmp_path: Path) -> None:
    (tmp_path / "best.pth").write_text("see the other folder\n")
    with pytest.raises(CheckpointUnreadable, match="it is text"):
        read_checkpoint(tmp_path / "best.pth")


@pytest.mark.parametrize("name", ["absent.pth", "."])
def test_a_path_without_a_file_cannot_be_opened(tmp_path: Path, name: str) -> None:
    with pytest.raises(CheckpointUnreadable, match="cannot be opened"):
        read_checkpoint(tmp_path / name)
