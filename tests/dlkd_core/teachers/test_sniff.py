"""What a file is, by its first bytes."""

import gzip
import pickle
from pathlib import Path

import pytest
import torch
from onnx import TensorProto
from onnx.helper import make_graph, make_model, make_node, make_tensor_value_info
from safetensors.torch import save

from dlkd_core.errors import CheckpointUnreadable
from dlkd_core.teachers.sniff import sniff_format

from .checkpoints import saved

FEW = 16  # bytes, enough for a checkpoint


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_files_of_torch_save_are_known_in_both_formats(tmp_path: Path, *, legacy: bool) -> None:
    assert sniff_format(saved(tmp_path / "a", {"a": torch.zeros(2)}, legacy=legacy).read_bytes()[:FEW]) == "torch"


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_pickles_of_every_protocol_that_torch_has_written_are_known(protocol: int) -> None:
    assert sniff_format(pickle.dumps({"a": 1}, protocol)[:FEW]) == "torch"


def test_safetensors_are_known_by_the_length_and_the_brace_after_it() -> None:
    assert sniff_format(save({"a": torch.zeros(2)})[:FEW]) == "safetensors"
    with pytest.raises(CheckpointUnreadable):
        sniff_format((1 << 40).to_bytes(8, "little") + b'{"a":')  # a header of a terabyte


def test_onnx_files_are_known() -> None:
    image, logits = (make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 3]) for name in ("image", "logits"))
    graph = make_graph([make_node("Identity", ["image"], ["logits"])], "same", [image], [logits])
    assert sniff_format(make_model(graph, producer_name="me").SerializeToString()[:FEW]) == "onnx"


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "it is empty"),
        (b"best accuracy: 93.1\n", "it is text"),
        ("Größe der Gewichte".encode()[:4], "it is text"),  # cut within a character
        (b"\n  <!DOCTYPE html>\n<html>", "a web page"),
        (b"<HTML><head>", "a web page"),
        (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4665\nsize 1099231\n", "a Git LFS pointer"),
        (gzip.compress(b"weights", mtime=0), "gzip: unpack it first"),
        (b"\x89HDF\r\n\x1a\n\x00", "HDF5"),
        (b"\x1c\x00\x00\x00TFL3\x14\x00", "a TensorFlow Lite model"),
        (b"\x89PNG\r\n\x1a\n", "begins like no format of weights"),
        (b"\0" * 64, "begins like no format of weights"),
    ],
)
def test_what_is_sent_by_mistake_is_called_by_its_name(content: bytes, what: str) -> None:
    with pytest.raises(CheckpointUnreadable, match=what):
        sniff_format(content)
