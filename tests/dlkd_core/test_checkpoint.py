"""A checkpoint holds everything, belongs to one run, and is never half there."""

import pickle
from pathlib import Path

import pytest
import torch

from dlkd_core.checkpoint import FILE, State
from dlkd_core.errors import CheckpointCorrupt
from dlkd_core.training import train

from .loop import everything, new_run, same


def trained(directory: Path) -> State:
    """A state with heads, batch statistics and momentum."""
    run = new_run(directory, "dlkd", epochs=1)
    list(train(run))
    return run.state


def test_everything_comes_back_bit_for_bit_and_so_do_the_random_numbers(tmp_path: Path) -> None:
    state = trained(tmp_path)
    path = state.save(tmp_path, step=3, digest="this run")
    before, drawn = everything(state), torch.rand(5)
    other = new_run(tmp_path / "other", "dlkd", seed=8).state
    assert other.load(path, digest="this run") == 3
    assert same(everything(other), before)
    assert torch.equal(torch.rand(5), drawn)
    assert other.optimizer.state_dict()["param_groups"] == state.optimizer.state_dict()["param_groups"]


def test_a_checkpoint_of_another_run_is_refused_and_nothing_is_changed(tmp_path: Path) -> None:
    path = trained(tmp_path).save(tmp_path, step=3, digest="that run")
    state = new_run(tmp_path, "dlkd", seed=8).state
    before = everything(state)
    with pytest.raises(CheckpointCorrupt, match="another run"):
        state.load(path, digest="this run")
    assert same(everything(state), before)


@pytest.mark.parametrize("kept", [0, 10, 0.5, 0.999])
def test_a_file_that_was_cut_off_is_corrupt(tmp_path: Path, kept: float) -> None:
    state = trained(tmp_path)
    whole = (tmp_path / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(whole[: int(kept if kept > 1 else kept * len(whole))])
    with pytest.raises(CheckpointCorrupt, match="cannot be read"):
        state.load(tmp_path / FILE, digest="this run")


@pytest.mark.parametrize("content", [b"", b"no checkpoint", pickle.dumps({"step": 3}, 2), b"PK\x03\x04", b"\x80\x02\xff\xff"])
def test_a_file_of_something_else_is_corrupt(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(CheckpointCorrupt):
        new_run(tmp_path).state.load(tmp_path / FILE, digest="this run")


def test_a_flipped_bit_is_found_wherever_it_matters(tmp_path: Path) -> None:
    state = trained(tmp_path)
    whole, before = (tmp_path / FILE).read_bytes(), everything(state)
    refused = 0
    for place in range(50, len(whole), len(whole) // 60):
        damaged = bytearray(whole)
        damaged[place] ^= 1
        (tmp_path / FILE).write_bytes(damaged)
        try:
            state.load(tmp_path / FILE, digest="this run")
        except CheckpointCorrupt:
            refused += 1
        assert same(everything(state), before)  # refused, or in the padding
    assert refused > 50


def test_a_missing_file_and_one_that_holds_no_state_are_corrupt(tmp_path: Path) -> None:
    state = new_run(tmp_path).state
    with pytest.raises(CheckpointCorrupt, match="cannot be read"):
        state.load(tmp_path / FILE, digest="this run")
    torch.save([1, 2], tmp_path / FILE)
    with pytest.raises(CheckpointCorrupt, match="holds no state"):
        state.load(tmp_path / FILE, digest="this run")
    torch.save({"digest": "this run", "step": 3}, tmp_path / FILE)
    with pytest.raises(CheckpointCorrupt, match="another run"):
        state.load(tmp_path / FILE, digest="this run")


def test_a_save_that_fails_leaves_the_last_checkpoint_whole(tmp_path: Path) -> None:
    state = trained(tmp_path)
    state.save(tmp_path, step=3, digest="this run")
    before = (tmp_path / FILE).read_bytes()
    (tmp_path / FILE).with_suffix(".partial").mkdir()  # what is in the way of the new file
    with pytest.raises((OSError, RuntimeError)):
        state.save(tmp_path, step=4, digest="this run")
    assert (tmp_path / FILE).read_bytes() == before
    (tmp_path / FILE).with_suffix(".partial").rmdir()
    state.save(tmp_path, step=4, digest="this run")
    assert [entry.name for entry in tmp_path.iterdir()] == [FILE]
    assert state.load(tmp_path / FILE, digest="this run") == 4
