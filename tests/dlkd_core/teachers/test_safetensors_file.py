"""Safetensors files: what is taken, and what a header may not say."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from dlkd_core.errors import CheckpointRefused, CheckpointUnreadable
from dlkd_core.teachers.safetensors_file import read_safetensors

from .checkpoints import headed, state


def floats(begin: int, stop: int, **changes: Any) -> dict[str, Any]:
    """A good entry for those bytes, but for the changes."""
    return {"dtype": "F32", "shape": [(stop - begin) // 4], "data_offsets": [begin, stop], **changes}


def test_what_save_file_wrote_comes_back(tmp_path: Path) -> None:
    weights = state()
    save_file(weights, tmp_path / "a.safetensors", {"format": "pt", "made": "here"})
    read = read_safetensors(tmp_path / "a.safetensors")
    assert read.keys() == weights.keys()
    assert all(torch.equal(read[name], tensor) for name, tensor in weights.items())


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.uint8, torch.bool])
def test_values_of_the_usual_types_come_back_in_them(tmp_path: Path, dtype: torch.dtype) -> None:
    values = torch.tensor([[0, 1, 1], [1, 0, 1]]).to(dtype)
    save_file({"a": values, "nothing": torch.zeros(0, 3)}, tmp_path / "a.safetensors")
    read = read_safetensors(tmp_path / "a.safetensors")
    assert read["a"].dtype == dtype
    assert torch.equal(read["a"], values)


def test_a_header_made_by_hand_is_read_when_it_is_good(tmp_path: Path) -> None:
    file = headed(tmp_path / "a", {"b": floats(4, 12), "a": floats(0, 4)}, torch.tensor([1.0, 2, 3]).numpy().tobytes())
    assert {name: tensor.tolist() for name, tensor in read_safetensors(file).items()} == {"a": [1], "b": [2, 3]}


ONE = b'"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}'


@pytest.mark.parametrize(
    ("header", "values", "what"),
    [
        ({"a": floats(0, 8), "b": floats(4, 12)}, 12, "b overlaps another tensor"),
        ({"a": floats(0, 8), "b": floats(0, 8)}, 8, "b overlaps another tensor"),
        ({"a": floats(0, 4), "b": floats(8, 12)}, 12, "bytes lie between them that belong to none"),
        ({"a": floats(4, 8)}, 8, "bytes lie between them that belong to none"),
        ({"a": floats(0, 4)}, 12, "it speaks of 4 bytes of values and the file has 12"),
        ({"a": floats(0, 12)}, 4, "it speaks of 12 bytes of values and the file has 4"),
        ({"a": floats(0, 8, shape=[3])}, 8, "the bytes 0 to 8 of a do not fit its shape"),
        ({"a": floats(0, 8, dtype="F16")}, 8, "do not fit its shape"),
        ({"a": floats(4, 0, shape=[-1])}, 4, "do not fit its shape"),
        ({"a": floats(0, 4, shape=[True])}, 4, "do not fit its shape"),
        ({"a": floats(0, 4, shape=[1.0])}, 4, "do not fit its shape"),
        ({"a": floats(0, 4, shape="1")}, 4, "do not fit its shape"),
        ({"a": floats(0, 0, shape=[0, 1 << 62, 1 << 62])}, 0, "do not fit its shape"),
        ({"a": floats(0, 4, shape=1)}, 4, "no dtype, shape and data_offsets"),
        ({"a": floats(0, 4, dtype=["F32"])}, 4, "no dtype, shape and data_offsets"),
        ({"a": floats(0, 4, data_offsets=[0, 4, 8])}, 4, "no dtype, shape and data_offsets"),
        ({"a": {"dtype": "F32", "shape": [1]}}, 4, "no dtype, shape and data_offsets"),
        ({"a": None}, 4, "no dtype, shape and data_offsets"),
        (b"{" + ONE + b"," + ONE + b"}", 4, "no JSON with unique names"),
        (b'{"__metadata__":{"a":"1","a":"2"},' + ONE + b"}", 4, "no JSON with unique names"),
        (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", 0, "no JSON with unique names"),
        (b'{"\xff":1}', 0, "no JSON with unique names"),
        (b"{" + ONE, 4, "no JSON with unique names"),
        ({"__metadata__": {"a": 1}, "a": floats(0, 4)}, 4, "invalid JSON in header"),
    ],
)
def test_a_header_that_cannot_be_true_is_called_damaged_with_the_reason(
    tmp_path: Path, header: Any, values: int, what: str
) -> None:
    with pytest.raises(CheckpointUnreadable, match=what):
        read_safetensors(headed(tmp_path / "a", header, b"\0" * values))


@pytest.mark.parametrize("claimed", [10_000, 99_999_999, 1 << 60])
def test_a_header_longer_than_the_file_is_not_believed(tmp_path: Path, claimed: int) -> None:
    with pytest.raises(CheckpointUnreadable, match=f"it claims {claimed} bytes"):
        read_safetensors(headed(tmp_path / "a", {"a": floats(0, 4)}, b"\0" * 4, length=claimed))


def test_a_file_that_was_cut_off_is_unreadable(tmp_path: Path) -> None:
    save_file(state(), tmp_path / "a")
    whole = (tmp_path / "a").read_bytes()
    for kept in (12, 1000, len(whole) // 2, len(whole) - 1):
        (tmp_path / "a").write_bytes(whole[:kept])
        with pytest.raises(CheckpointUnreadable, match="cut off"):
            read_safetensors(tmp_path / "a")


def test_a_file_of_lists_is_no_object(tmp_path: Path) -> None:
    with pytest.raises(CheckpointUnreadable, match="no JSON object"):
        read_safetensors(headed(tmp_path / "a", b"[]"))


@pytest.mark.parametrize("header", [{}, {"__metadata__": {"format": "pt"}}])
def test_a_file_without_tensors_is_refused(tmp_path: Path, header: Any) -> None:
    with pytest.raises(CheckpointRefused, match="holds 0 tensors"):
        read_safetensors(headed(tmp_path / "a", header))


def test_types_that_no_teacher_is_run_in_are_refused_by_name(tmp_path: Path) -> None:
    save_file({"a": torch.ones(4).to(torch.float8_e4m3fn)}, tmp_path / "a")
    with pytest.raises(CheckpointRefused, match="a holds values of type F8_E4M3"):
        read_safetensors(tmp_path / "a")
