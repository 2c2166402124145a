"""Tests for detecting the format of a file from its first bytes."""

import gzip
import pickle
from pathlib import Path

import pytest
import torch
from onnx import TensorProto
from onnx.helper import make_graph, make_model, make_node, make_tensor_value_info
from safetensors.torch import save

from dlkd_core.errors import CheckpointUnreadable
from dlkd_core.teachers.reading.file_format import detect_format
from tests.dlkd_core.teachers.sample_checkpoints import save_torch

HEAD_BYTES = 16  # enough to detect the format of a checkpoint


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_torch_save_files_are_detected_in_both_formats(tmp_path: Path, *, legacy: bool) -> None:
    assert (
        detect_format(
            save_torch(tmp_path / "a", {"a": torch.zeros(2)}, legacy=legacy).read_bytes()[
                :HEAD_BYTES
            ]
        )
        == "torch"
    )


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_pickles_of_every_protocol_used_by_torch_are_detected(protocol: int) -> None:
    assert detect_format(pickle.dumps({"a": 1}, protocol)[:HEAD_BYTES]) == "torch"


def test_safetensors_are_detected_by_the_length_and_the_brace_after_it() -> None:
    assert detect_format(save({"a": torch.zeros(2)})[:HEAD_BYTES]) == "safetensors"
    with pytest.raises(CheckpointUnreadable):
        detect_format((1 << 40).to_bytes(8, "little") + b'{"a":')  # states a header of one TiB


def test_onnx_files_are_detected() -> None:
    image, logits = (
        make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 3])
        for name in ("image", "logits")
    )
    graph = make_graph([make_node("Identity", ["image"], ["logits"])], "same", [image], [logits])
    assert (
        detect_format(make_model(graph, producer_name="me").SerializeToString()[:HEAD_BYTES])
        == "onnx"
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it is empty"),
        (b"best accuracy: 93.1\n", "it is text"),
        ("Größe der Gewichte".encode()[:4], "it is text"),  # cut off within a character
        (b"\n  <!DOCTYPE html>\n<html>", "a web page"),
        (b"<HTML><head>", "a web page"),
        (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "a web page"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:4665\nsize 1099231\n",
            "a Git LFS pointer",
        ),
        (gzip.compress(b"weights", mtime=0), "a gzip archive; unpack it first"),
        (b"\x89HDF\r\n\x1a\n\x00", "an HDF5 file"),
        (b"\x1c\x00\x00\x00TFL3\x14\x00", "a TensorFlow Lite model"),
        (b"\x89PNG\r\n\x1a\n", "match no known weight format"),
        (b"\0" * 64, "match no known weight format"),
    ],
)
def test_other_files_are_named_in_the_error(content: bytes, message: str) -> None:
    with pytest.raises(CheckpointUnreadable, match=message):
        detect_format(content)
