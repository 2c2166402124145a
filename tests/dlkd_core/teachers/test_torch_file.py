"""Files of torch.save, from friends and from others."""

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
from dlkd_core.teachers.read import read_checkpoint
from dlkd_core.teachers.torch_file import read_torch

from .checkpoints import network, saved, state


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_tensors_come_back_as_they_were_saved(tmp_path: Path, *, legacy: bool) -> None:
    content = {"half": torch.rand(3).half(), "whole": torch.tensor(7), "nested": {"view": torch.rand(4, 6).T[1:3]}}
    read = read_torch(saved(tmp_path / "a.pth", content, legacy=legacy))
    assert torch.equal(read["half"], content["half"])
    assert read["whole"] == 7
    assert torch.equal(read["nested"]["view"], content["nested"]["view"])


class Command:
    """Runs a command of the attacker's when it is unpickled."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (self.command,)


def written(path: Path, kind: str, content: Any) -> Path:
    if kind == "pickle":
        path.write_bytes(pickle.dumps(content, 2))
        return path
    return saved(path, content, legacy=kind == "legacy")


@pytest.mark.parametrize("kind", ["zip", "legacy", "pickle"])
def test_a_pickle_that_runs_a_command_is_refused_by_its_name_and_never_run(tmp_path: Path, kind: str) -> None:
    mark = tmp_path / "was-here"
    file = written(tmp_path / "evil.pth", kind, {"state_dict": Command(f"touch {mark}")})
    with pytest.raises(CheckpointRefused, match=r"need posix\.system, and nothing is unpickled here"):
        read_torch(file)
    assert not mark.exists()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if kind != "pickle":  # the file is what it claims to be: torch's own unpickler falls for it
            torch.load(file, weights_only=False)
            assert mark.exists()


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        (network().module, r"dlkd_core\.models\.cifar_resnet\.CifarResNet"),
        ({"state_dict": {}, "args": Namespace(lr=0.1, out=Path("here"))}, r"pathlib\.\w*Path"),
        ({"state_dict": {}, "curve": np.zeros(3)}, r"numpy\._core\.multiarray\._reconstruct"),
    ],
    ids=["whole network", "arguments", "array of numpy"],
)
def test_a_file_with_more_than_weights_is_refused_and_what_it_wants_is_named(tmp_path: Path, content: Any, wanted: str) -> None:
    with pytest.raises(CheckpointRefused, match=wanted):
        read_torch(saved(tmp_path / "a.pth", content))


@pytest.mark.parametrize("legacy", [False, True])
def test_numbers_of_numpy_beside_the_weights_do_no_harm(tmp_path: Path, *, legacy: bool) -> None:
    content = {"state_dict": state(), "best_acc": np.float64(93.1), "epoch": np.int32(7), "done": np.bool_(True)}  # noqa: FBT003 - a value
    found = read_torch(saved(tmp_path / "best.pth", content, legacy=legacy))
    assert (found["best_acc"], found["epoch"], found["done"]) == (93.1, 7, True)
    assert read_checkpoint(tmp_path / "best.pth").tensors.keys() == state().keys()


def test_a_torchscript_archive_is_refused_as_such(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.jit is deprecated; people still have its files
        torch.jit.trace(network().module, torch.rand(1, 3, 8, 8)).save(tmp_path / "a.pt")
    with pytest.raises(CheckpointRefused, match="TorchScript"):
        read_torch(tmp_path / "a.pt")


def test_a_program_of_torch_export_is_refused_as_such(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch's own internals
        torch.export.save(torch.export.export(torch.nn.Linear(3, 2), (torch.rand(1, 3),)), tmp_path / "a.pt2")
    with pytest.raises(CheckpointRefused, match=r"torch\.export"):
        read_torch(tmp_path / "a.pt2")


def repacked(source: Path, path: Path, compression: int) -> Path:
    with zipfile.ZipFile(source) as before, zipfile.ZipFile(path, "w", compression) as after:
        for member in before.infolist():
            after.writestr(member.filename, before.read(member))
    return path


def test_an_archive_that_was_packed_anew_is_read_and_a_compressed_one_is_refused(tmp_path: Path) -> None:
    source = saved(tmp_path / "a.pth", {"zeros": torch.zeros(1 << 20)})
    assert read_torch(repacked(source, tmp_path / "b.pth", zipfile.ZIP_STORED))["zeros"].shape == (1 << 20,)
    bomb = repacked(source, tmp_path / "c.pth", zipfile.ZIP_DEFLATED)
    assert bomb.stat().st_size < 1 << 14
    with pytest.raises(CheckpointRefused, match="compressed"):
        read_torch(bomb)


def test_an_archive_whose_members_are_all_the_same_bytes_is_refused_before_they_are_read(tmp_path: Path) -> None:
    source = saved(tmp_path / "a.pth", {str(number): torch.zeros(1 << 16) for number in range(8)})
    with zipfile.ZipFile(source) as before, zipfile.ZipFile(tmp_path / "b.pth", "w") as after:
        for member in before.infolist():
            if "/data/" not in member.filename or member.filename.endswith("/data/0"):
                after.writestr(member.filename, before.read(member))
        shared = next(member for member in after.filelist if member.filename.endswith("/data/0"))
        for number in range(1, 8):
            again = zipfile.ZipInfo(shared.filename[:-1] + str(number))
            again.header_offset, again.CRC = shared.header_offset, shared.CRC
            again.file_size = again.compress_size = shared.file_size
            after.filelist.append(again)
    assert len(torch.load(tmp_path / "b.pth")) == 8  # torch itself reads eight times what the file holds
    with pytest.raises(CheckpointRefused, match="bomb"):
        read_torch(tmp_path / "b.pth")


def test_a_zip_of_something_else_is_said_to_be_none_of_torch_save(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.pth", "w") as archive:
        archive.writestr("train/cat/1.png", b"")
    with pytest.raises(CheckpointUnreadable, match=r"there is no data\.pkl in it"):
        read_torch(tmp_path / "a.pth")


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.99])
def test_a_file_that_was_cut_off_is_unreadable(tmp_path: Path, kept: float, *, legacy: bool) -> None:
    whole = saved(tmp_path / "a.pth", state(), legacy=legacy).read_bytes()
    (tmp_path / "a.pth").write_bytes(whole[: int(len(whole) * kept)])
    with pytest.raises(CheckpointUnreadable, match="cannot be read to its end"):
        read_torch(tmp_path / "a.pth")


@pytest.mark.parametrize("protocol", [2, 4])
def test_a_pickle_of_something_else_is_unreadable(tmp_path: Path, protocol: int) -> None:
    (tmp_path / "a.pth").write_bytes(pickle.dumps("hello", protocol))
    with pytest.raises(CheckpointUnreadable, match=r"a pickle, but not of tensors|cannot be read to its end"):
        read_torch(tmp_path / "a.pth")
