"""Tests for the safetensors reader, which checks the header of a file."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from dlkd_core.errors import CheckpointRefused, CheckpointUnreadable
from dlkd_core.teachers.reading.safetensors_reader import read_safetensors
from tests.dlkd_core.teachers.sample_checkpoints import random_state_dict, write_safetensors


def float_entry(begin: int, end: int, **changes: Any) -> dict[str, Any]:
    """Return a valid header entry for float32 values at bytes `begin` to `end`.

    Keyword arguments replace fields of the entry.
    """
    return {
        "dtype": "F32",
        "shape": [(end - begin) // 4],
        "data_offsets": [begin, end],
        **changes,
    }


def test_a_file_of_the_library_is_read(tmp_path: Path) -> None:
    weights = random_state_dict()
    save_file(weights, tmp_path / "a.safetensors", {"format": "pt", "made": "here"})
    tensors = read_safetensors(tmp_path / "a.safetensors")
    assert tensors.keys() == weights.keys()
    assert all(torch.equal(tensors[name], tensor) for name, tensor in weights.items())


@pytest.mark.parametrize(
    "dtype", [torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.uint8, torch.bool]
)
def test_common_dtypes_are_kept(tmp_path: Path, dtype: torch.dtype) -> None:
    values = torch.tensor([[0, 1, 1], [1, 0, 1]]).to(dtype)
    save_file({"a": values, "nothing": torch.zeros(0, 3)}, tmp_path / "a.safetensors")
    tensors = read_safetensors(tmp_path / "a.safetensors")
    assert tensors["a"].dtype == dtype
    assert torch.equal(tensors["a"], values)


def test_a_valid_header_written_by_hand_is_read(tmp_path: Path) -> None:
    file = write_safetensors(
        tmp_path / "a",
        {"b": float_entry(4, 12), "a": float_entry(0, 4)},
        torch.tensor([1.0, 2, 3]).numpy().tobytes(),
    )
    assert {name: tensor.tolist() for name, tensor in read_safetensors(file).items()} == {
        "a": [1],
        "b": [2, 3],
    }


ONE = b'"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}'


@pytest.mark.parametrize(
    ("header", "num_values", "message"),
    [
        ({"a": float_entry(0, 8), "b": float_entry(4, 12)}, 12, "b overlaps another tensor"),
        ({"a": float_entry(0, 8), "b": float_entry(0, 8)}, 8, "b overlaps another tensor"),
        ({"a": float_entry(0, 4), "b": float_entry(8, 12)}, 12, "there are unused bytes before it"),
        ({"a": float_entry(4, 8)}, 8, "there are unused bytes before it"),
        (
            {"a": float_entry(0, 4)},
            12,
            "the header describes 4 bytes of values, but the file has 12",
        ),
        (
            {"a": float_entry(0, 12)},
            4,
            "the header describes 12 bytes of values, but the file has 4",
        ),
        ({"a": float_entry(0, 8, shape=[3])}, 8, "bytes 0 to 8 of a do not match its shape"),
        ({"a": float_entry(0, 8, dtype="F16")}, 8, "do not match its shape"),
        ({"a": float_entry(4, 0, shape=[-1])}, 4, "do not match its shape"),
        ({"a": float_entry(0, 4, shape=[True])}, 4, "do not match its shape"),
        ({"a": float_entry(0, 4, shape=[1.0])}, 4, "do not match its shape"),
        ({"a": float_entry(0, 4, shape="1")}, 4, "do not match its shape"),
        ({"a": float_entry(0, 4, shape=1)}, 4, "must have dtype, shape and data_offsets"),
        ({"a": float_entry(0, 4, dtype=["F32"])}, 4, "must have dtype, shape and data_offsets"),
        (
            {"a": float_entry(0, 4, data_offsets=[0, 4, 8])},
            4,
            "must have dtype, shape and data_offsets",
        ),
        ({"a": {"dtype": "F32", "shape": [1]}}, 4, "must have dtype, shape and data_offsets"),
        ({"a": None}, 4, "must have dtype, shape and data_offsets"),
        (b"{" + ONE + b"," + ONE + b"}", 4, "not JSON with unique keys"),
        (b'{"__metadata__":{"a":"1","a":"2"},' + ONE + b"}", 4, "not JSON with unique keys"),
        (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", 0, "not JSON with unique keys"),
        (b'{"\xff":1}', 0, "not JSON with unique keys"),
        (b"{" + ONE, 4, "not JSON with unique keys"),
        ({"__metadata__": {"a": 1}, "a": float_entry(0, 4)}, 4, "invalid JSON in header"),
    ],
)
def test_an_inconsistent_header_is_refused_with_the_reason(
    tmp_path: Path, header: Any, num_values: int, message: str
) -> None:
    with pytest.raises(CheckpointUnreadable, match=message):
        read_safetensors(write_safetensors(tmp_path / "a", header, b"\0" * num_values))


@pytest.mark.parametrize("claimed", [10_000, 99_999_999, 1 << 60])
def test_a_header_longer_than_the_file_is_refused(tmp_path: Path, claimed: int) -> None:
    with pytest.raises(CheckpointUnreadable, match=f"the header claims {claimed} bytes"):
        read_safetensors(
            write_safetensors(tmp_path / "a", {"a": float_entry(0, 4)}, b"\0" * 4, length=claimed)
        )


def test_a_truncated_file_is_unreadable(tmp_path: Path) -> None:
    save_file(random_state_dict(), tmp_path / "a")
    content = (tmp_path / "a").read_bytes()
    for kept in (12, 1000, len(content) // 2, len(content) - 1):
        (tmp_path / "a").write_bytes(content[:kept])
        with pytest.raises(CheckpointUnreadable, match="truncated"):
            read_safetensors(tmp_path / "a")


def test_a_header_that_is_a_list_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointUnreadable, match="not a JSON object"):
        read_safetensors(write_safetensors(tmp_path / "a", b"[]"))


@pytest.mark.parametrize("header", [{}, {"__metadata__": {"format": "pt"}}])
def test_a_file_without_tensors_is_refused(tmp_path: Path, header: Any) -> None:
    with pytest.raises(CheckpointRefused, match="holds 0 tensors"):
        read_safetensors(write_safetensors(tmp_path / "a", header))


def test_unsupported_dtypes_are_refused_by_name(tmp_path: Path) -> None:
    save_file({"a": torch.ones(4).to(torch.float8_e4m3fn)}, tmp_path / "a")
    with pytest.raises(CheckpointRefused, match="a holds values of the unsupported type F8_E4M3"):
        read_safetensors(tmp_path / "a")
