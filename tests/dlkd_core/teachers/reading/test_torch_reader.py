"""Tests for the reader of torch.save files, with harmless and malicious files."""

import os
import pickle
import warnings
import zipfile
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dlkd_core.errors import CheckpointRefused, CheckpointUnreadable
from dlkd_core.teachers.reading.checkpoint_reader import read_checkpoint
from dlkd_core.teachers.reading.torch_reader import read_torch
from tests.dlkd_core.teachers.sample_checkpoints import (
    random_network,
    random_state_dict,
    save_torch,
)


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_tensors_come_back_as_they_were_saved(tmp_path: Path, *, legacy: bool) -> None:
    content = {
        "half": torch.rand(3).half(),
        "integer": torch.tensor(7),
        "nested": {"view": torch.rand(4, 6).T[1:3]},
    }
    loaded = read_torch(save_torch(tmp_path / "a.pth", content, legacy=legacy))
    assert torch.equal(loaded["half"], content["half"])
    assert loaded["integer"] == 7
    assert torch.equal(loaded["nested"]["view"], content["nested"]["view"])


class Command:
    """Malicious object that runs a command when it is unpickled."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (self.command,)


def write_pickle(path: Path, file_format: str, content: Any) -> Path:
    if file_format == "pickle":
        path.write_bytes(pickle.dumps(content, 2))
        return path
    return save_torch(path, content, legacy=file_format == "legacy")


@pytest.mark.parametrize("file_format", ["zip", "legacy", "pickle"])
def test_a_pickle_that_runs_a_command_is_refused_and_never_run(
    tmp_path: Path, file_format: str
) -> None:
    marker = tmp_path / "was-here"
    file = write_pickle(
        tmp_path / "evil.pth", file_format, {"state_dict": Command(f"touch {marker}")}
    )
    with pytest.raises(
        CheckpointRefused, match=r"import posix\.system, and uploads are never unpickled"
    ):
        read_torch(file)
    assert not marker.exists()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if file_format != "pickle":  # the command does run if unpickling is unrestricted
            torch.load(file, weights_only=False)
            assert marker.exists()


@pytest.mark.parametrize(
    ("content", "refused_type"),
    [
        (random_network().module, r"dlkd_core\.models\.cifar\.resnet\.CifarResNet"),
        ({"state_dict": {}, "args": Namespace(lr=0.1, out=Path("here"))}, r"pathlib\.\w*Path"),
        ({"state_dict": {}, "curve": np.zeros(3)}, r"numpy\._core\.multiarray\._reconstruct"),
    ],
    ids=["whole network", "arguments", "NumPy array"],
)
def test_a_file_with_more_than_weights_is_refused_by_the_type_it_holds(
    tmp_path: Path, content: Any, refused_type: str
) -> None:
    with pytest.raises(CheckpointRefused, match=refused_type):
        read_torch(save_torch(tmp_path / "a.pth", content))


@pytest.mark.parametrize("legacy", [False, True])
def test_numpy_scalars_next_to_the_weights_are_accepted(tmp_path: Path, *, legacy: bool) -> None:
    content = {
        "state_dict": random_state_dict(),
        "best_acc": np.float64(93.1),
        "epoch": np.int32(7),
        "done": np.bool_(1),
    }
    loaded = read_torch(save_torch(tmp_path / "best.pth", content, legacy=legacy))
    assert (loaded["best_acc"], loaded["epoch"], loaded["done"]) == (93.1, 7, True)
    assert read_checkpoint(tmp_path / "best.pth").tensors.keys() == random_state_dict().keys()


def test_a_torchscript_archive_is_refused(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns that torch.jit is deprecated
        torch.jit.trace(random_network().module, torch.rand(1, 3, 8, 8)).save(tmp_path / "a.pt")
    with pytest.raises(CheckpointRefused, match="TorchScript"):
        read_torch(tmp_path / "a.pt")


def test_a_torch_export_program_is_refused(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns about its own internals
        torch.export.save(
            torch.export.export(torch.nn.Linear(3, 2), (torch.rand(1, 3),)), tmp_path / "a.pt2"
        )
    with pytest.raises(CheckpointRefused, match=r"torch\.export"):
        read_torch(tmp_path / "a.pt2")


def repack(source: Path, path: Path, compression: int) -> Path:
    with zipfile.ZipFile(source) as before, zipfile.ZipFile(path, "w", compression) as after:
        for member in before.infolist():
            after.writestr(member.filename, before.read(member))
    return path


def test_a_repacked_archive_is_read_and_a_compressed_one_is_refused(
    tmp_path: Path,
) -> None:
    source = save_torch(tmp_path / "a.pth", {"zeros": torch.zeros(1 << 20)})
    assert read_torch(repack(source, tmp_path / "b.pth", zipfile.ZIP_STORED))["zeros"].shape == (
        1 << 20,
    )
    bomb = repack(source, tmp_path / "c.pth", zipfile.ZIP_DEFLATED)
    assert bomb.stat().st_size < 1 << 14
    with pytest.raises(CheckpointRefused, match="compressed"):
        read_torch(bomb)


def test_an_archive_whose_members_overlap_is_refused_before_they_are_read(
    tmp_path: Path,
) -> None:
    source = save_torch(
        tmp_path / "a.pth", {str(number): torch.zeros(1 << 16) for number in range(8)}
    )
    with zipfile.ZipFile(source) as before, zipfile.ZipFile(tmp_path / "b.pth", "w") as after:
        for member in before.infolist():
            if "/data/" not in member.filename or member.filename.endswith("/data/0"):
                after.writestr(member.filename, before.read(member))
        shared = next(member for member in after.filelist if member.filename.endswith("/data/0"))
        for number in range(1, 8):
            duplicate = zipfile.ZipInfo(shared.filename[:-1] + str(number))
            duplicate.header_offset, duplicate.CRC = shared.header_offset, shared.CRC
            duplicate.file_size = duplicate.compress_size = shared.file_size
            after.filelist.append(duplicate)
    # torch itself reads eight times as many bytes as the file contains
    assert len(torch.load(tmp_path / "b.pth")) == 8
    with pytest.raises(CheckpointRefused, match="bomb"):
        read_torch(tmp_path / "b.pth")


def test_a_zip_archive_that_is_no_checkpoint_is_unreadable(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.pth", "w") as archive:
        archive.writestr("train/cat/1.png", b"")
    with pytest.raises(CheckpointUnreadable, match=r"contains no data\.pkl"):
        read_torch(tmp_path / "a.pth")


def test_a_zipped_folder_of_weights_is_refused_with_the_file_to_upload(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("resnet/config.json", b"{}")
        archive.writestr("resnet/model.safetensors", b"")
    with pytest.raises(CheckpointUnreadable) as caught:
        read_torch(tmp_path / "a.zip")
    assert caught.value.hint == "Unpack the archive and upload resnet/model.safetensors."


def test_a_pickled_yolo_is_refused_with_the_way_to_onnx(tmp_path: Path) -> None:
    path = tmp_path / "best.pt"
    path.write_bytes(b"\x80\x02cultralytics.nn.tasks\nClassificationModel\n.")
    with pytest.raises(CheckpointRefused, match="would import ultralytics") as caught:
        read_torch(path)
    assert "yolo export" in caught.value.hint


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.99])
def test_a_truncated_file_is_unreadable(tmp_path: Path, kept: float, *, legacy: bool) -> None:
    content = save_torch(tmp_path / "a.pth", random_state_dict(), legacy=legacy).read_bytes()
    (tmp_path / "a.pth").write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(CheckpointUnreadable, match="cannot be read to the end"):
        read_torch(tmp_path / "a.pth")


@pytest.mark.parametrize("protocol", [2, 4])
def test_a_pickle_without_tensors_is_unreadable(tmp_path: Path, protocol: int) -> None:
    (tmp_path / "a.pth").write_bytes(pickle.dumps("hello", protocol))
    with pytest.raises(
        CheckpointUnreadable, match=r"a pickle, but not one of tensors|cannot be read to the end"
    ):
        read_torch(tmp_path / "a.pth")
