"""Tests that checkpoints are complete, are tied to one run and are never half written."""

import pickle
from pathlib import Path

import pytest
import torch

from dlkd_core.errors import CheckpointCorrupt
from dlkd_core.events import CHECKPOINT_FILE
from dlkd_core.training.checkpoint import TrainingState
from dlkd_core.training.loop import train
from tests.dlkd_core.training.small_run import collect_tensors, make_run, tensors_equal


def train_state(directory: Path) -> TrainingState:
    """Perform a short run and return its state, with loss heads, batch statistics and momentum."""
    run = make_run(directory, "dlkd", epochs=1)
    list(train(run))
    return run.state


def test_a_checkpoint_restores_everything_bit_for_bit_including_random_numbers(
    tmp_path: Path,
) -> None:
    state = train_state(tmp_path)
    path = state.save(tmp_path, step=3, digest="this run")
    before, drawn = collect_tensors(state), torch.rand(5)
    other = make_run(tmp_path / "other", "dlkd", seed=8).state
    assert other.load(path, digest="this run") == 3
    assert tensors_equal(collect_tensors(other), before)
    assert torch.equal(torch.rand(5), drawn)
    assert (
        other.optimizer.state_dict()["param_groups"] == state.optimizer.state_dict()["param_groups"]
    )


def test_a_checkpoint_of_another_run_is_rejected_and_changes_nothing(tmp_path: Path) -> None:
    path = train_state(tmp_path).save(tmp_path, step=3, digest="that run")
    state = make_run(tmp_path, "dlkd", seed=8).state
    before = collect_tensors(state)
    with pytest.raises(CheckpointCorrupt, match="another run"):
        state.load(path, digest="this run")
    assert tensors_equal(collect_tensors(state), before)


@pytest.mark.parametrize("kept", [0, 10, 0.5, 0.999])
def test_a_truncated_file_is_corrupt(tmp_path: Path, kept: float) -> None:
    state = train_state(tmp_path)
    whole = (tmp_path / CHECKPOINT_FILE).read_bytes()
    (tmp_path / CHECKPOINT_FILE).write_bytes(whole[: int(kept if kept > 1 else kept * len(whole))])
    with pytest.raises(CheckpointCorrupt, match="cannot be read"):
        state.load(tmp_path / CHECKPOINT_FILE, digest="this run")


@pytest.mark.parametrize(
    "content",
    [b"", b"no checkpoint", pickle.dumps({"step": 3}, 2), b"PK\x03\x04", b"\x80\x02\xff\xff"],
)
def test_a_file_that_is_no_checkpoint_is_corrupt(tmp_path: Path, content: bytes) -> None:
    (tmp_path / CHECKPOINT_FILE).write_bytes(content)
    with pytest.raises(CheckpointCorrupt):
        make_run(tmp_path).state.load(tmp_path / CHECKPOINT_FILE, digest="this run")


def test_a_flipped_bit_is_detected_wherever_it_matters(tmp_path: Path) -> None:
    state = train_state(tmp_path)
    whole, before = (tmp_path / CHECKPOINT_FILE).read_bytes(), collect_tensors(state)
    rejected = 0
    for offset in range(50, len(whole), len(whole) // 60):
        damaged = bytearray(whole)
        damaged[offset] ^= 1
        (tmp_path / CHECKPOINT_FILE).write_bytes(damaged)
        try:
            state.load(tmp_path / CHECKPOINT_FILE, digest="this run")
        except CheckpointCorrupt:
            rejected += 1
        assert tensors_equal(collect_tensors(state), before)  # an accepted file differs in padding
    assert rejected > 50


def test_a_missing_file_and_one_without_training_state_are_corrupt(tmp_path: Path) -> None:
    state = make_run(tmp_path).state
    with pytest.raises(CheckpointCorrupt, match="cannot be read"):
        state.load(tmp_path / CHECKPOINT_FILE, digest="this run")
    torch.save([1, 2], tmp_path / CHECKPOINT_FILE)
    with pytest.raises(CheckpointCorrupt, match="contains no training state"):
        state.load(tmp_path / CHECKPOINT_FILE, digest="this run")
    torch.save({"digest": "this run", "step": 3}, tmp_path / CHECKPOINT_FILE)
    with pytest.raises(CheckpointCorrupt, match="another run"):
        state.load(tmp_path / CHECKPOINT_FILE, digest="this run")


def test_a_failed_save_keeps_the_last_checkpoint(tmp_path: Path) -> None:
    state = train_state(tmp_path)
    state.save(tmp_path, step=3, digest="this run")
    before = (tmp_path / CHECKPOINT_FILE).read_bytes()
    obstacle = (tmp_path / CHECKPOINT_FILE).with_suffix(".partial")
    obstacle.mkdir()
    with pytest.raises((OSError, RuntimeError)):
        state.save(tmp_path, step=4, digest="this run")
    assert (tmp_path / CHECKPOINT_FILE).read_bytes() == before
    obstacle.rmdir()
    state.save(tmp_path, step=4, digest="this run")
    assert [entry.name for entry in tmp_path.iterdir()] == [CHECKPOINT_FILE]
    assert state.load(tmp_path / CHECKPOINT_FILE, digest="this run") == 4
