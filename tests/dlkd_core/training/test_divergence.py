"""Tests for losses and weights that are not finite: the error and the checkpoint that remains."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from dlkd_core.data.batches import BatchLoader
from dlkd_core.data.dataset import DatasetSplit
from dlkd_core.errors import TrainingDiverged
from dlkd_core.events import CHECKPOINT_FILE
from dlkd_core.network_outputs import Outputs
from dlkd_core.training.loop import TrainingRun, train
from tests.dlkd_core.training.small_run import collect_tensors, make_run, stop_after, teacher


def with_steps_per_epoch(run: TrainingRun, steps_per_epoch: int) -> TrainingRun:
    """Return the run with the given number of steps per epoch.

    Each batch has two images. Images are repeated if necessary.
    """
    split = run.batches.split
    rows = torch.arange(2 * steps_per_epoch) % len(split)
    batches = BatchLoader(
        DatasetSplit(split.images[rows], split.labels[rows]), 2, run.batches.augmentation, 0
    )
    assert batches.steps_per_epoch == steps_per_epoch
    return replace(run, batches=batches)


def with_broken_loss(run: TrainingRun, good: int, value: float) -> TrainingRun:
    """Return the run with a teacher whose logits are multiplied by `value` after `good` calls."""
    calls = iter(range(1000))

    def broken_teacher(images: Tensor) -> Outputs:
        outputs = teacher(images)
        return outputs if next(calls) < good else outputs._replace(logits=outputs.logits * value)

    return replace(run, teacher=broken_teacher)


def train_until_divergence(run: TrainingRun) -> TrainingDiverged:
    with pytest.raises(TrainingDiverged) as caught:
        list(train(run))
    return caught.value


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_ends_the_run_and_is_located(
    tmp_path: Path, value: float
) -> None:
    error = train_until_divergence(with_broken_loss(make_run(tmp_path, "kd"), 4, value))
    # the message does not name train/labels, because that term is finite
    assert "in epoch 2, step 5: train/loss is nan, train/kd is nan." in error.message
    assert "learning_rate" in error.hint


def test_the_step_is_named_even_if_a_point_covers_several_steps(tmp_path: Path) -> None:
    # metrics are logged every second step
    run = with_steps_per_epoch(make_run(tmp_path, "kd", batch_size=2, epochs=3), 20)
    error = train_until_divergence(with_broken_loss(run, 22, float("nan")))
    assert "in epoch 2, step 23:" in error.message


def read_checkpoint_step(run: TrainingRun) -> int:
    """Assert that all tensors in the checkpoint are finite, and return the step number."""
    fresh = make_run(run.directory, "kd", seed=3)
    step = fresh.state.load(run.directory / CHECKPOINT_FILE, digest="this run")
    assert all(tensor.isfinite().all() for tensor in collect_tensors(fresh.state).values())
    return step


def test_the_last_good_checkpoint_survives_a_loss_that_is_not_finite(tmp_path: Path) -> None:
    run = with_broken_loss(make_run(tmp_path, "kd"), 4, float("nan"))
    train_until_divergence(run)
    assert read_checkpoint_step(run) == 3


@pytest.mark.parametrize("good", [3, 4])
def test_closing_after_a_loss_that_is_not_finite_keeps_the_last_good_checkpoint(
    tmp_path: Path, good: int
) -> None:
    run = with_broken_loss(make_run(tmp_path, "kd"), good, float("nan"))
    stop_after(run, good + 1)  # the next metrics would have detected the error
    assert not all(value.isfinite().all() for value in run.state.student.state_dict().values())
    assert read_checkpoint_step(run) == 3


def test_weights_that_are_not_finite_after_a_finite_loss_are_not_saved(tmp_path: Path) -> None:
    run = make_run(tmp_path, "kd", max_grad_norm=0)
    name, weight = list(run.state.student.named_parameters())[-1]
    passes = iter(range(100))
    weight.register_hook(lambda gradient: gradient * (float("nan") if next(passes) == 5 else 1))
    error = train_until_divergence(run)
    assert f"not finite after epoch 2, step 6: {name} contains" in error.message
    assert read_checkpoint_step(run) == 3


def test_losses_of_an_epoch_that_ends_between_two_points_are_checked_before_saving(
    tmp_path: Path,
) -> None:
    # metrics are logged every second step, so the last step of the epoch has none
    run = with_steps_per_epoch(make_run(tmp_path, "kd", batch_size=2), 21)
    error = train_until_divergence(with_broken_loss(run, 20, float("nan")))
    assert "in epoch 1, step 21:" in error.message
    assert not (tmp_path / CHECKPOINT_FILE).exists()
