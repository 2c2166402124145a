"""Numbers that stop being numbers: where it is said that they did, and what is left to go on from."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from dlkd_core.checkpoint import FILE
from dlkd_core.data.batches import Batches
from dlkd_core.data.packed import Split
from dlkd_core.errors import TrainingDiverged
from dlkd_core.outputs import Outputs
from dlkd_core.training import Run, train

from .loop import everything, new_run, teacher
from .test_training import stopped_after


def with_steps(run: Run, per_epoch: int) -> Run:
    """The run over as many of its images, some more than once, as so many steps of two take."""
    split = run.batches.split
    rows = torch.arange(2 * per_epoch) % len(split)
    more = Batches(Split(split.images[rows], split.labels[rows]), 2, run.batches.augmentation, 0)
    assert more.per_epoch == per_epoch
    return replace(run, batches=more)


def breaking(run: Run, good: int, value: float) -> Run:
    """A teacher whose logits are no numbers from its call after so many good ones."""
    calls = iter(range(1000))

    def broken(images: Tensor) -> Outputs:
        shown = teacher(images)
        return shown if next(calls) < good else shown._replace(logits=shown.logits * value)

    return replace(run, teacher=broken)


def until_it_diverges(run: Run) -> TrainingDiverged:
    with pytest.raises(TrainingDiverged) as caught:
        list(train(run))
    return caught.value


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_ends_the_run_and_says_where(tmp_path: Path, value: float) -> None:
    error = until_it_diverges(breaking(new_run(tmp_path, "kd"), 4, value))
    assert "in epoch 2, at step 5: train/loss is nan, train/kd is nan." in error.message  # and train/labels is fine
    assert "learning_rate" in error.hint


def test_the_step_is_named_even_where_a_point_of_the_series_covers_many(tmp_path: Path) -> None:
    run = with_steps(new_run(tmp_path, "kd", batch_size=2, epochs=3), 20)  # a point every second step
    assert "in epoch 2, at step 23:" in until_it_diverges(breaking(run, 22, float("nan"))).message


def kept(run: Run) -> int:
    """The step of the checkpoint, whose tensors are all finite."""
    fresh = new_run(run.directory, "kd", seed=3)
    step = fresh.state.load(run.directory / FILE, digest="this run")
    assert all(tensor.isfinite().all() for tensor in everything(fresh.state).values())
    return step


def test_the_last_good_checkpoint_survives_a_loss_that_is_no_number(tmp_path: Path) -> None:
    run = breaking(new_run(tmp_path, "kd"), 4, float("nan"))
    until_it_diverges(run)
    assert kept(run) == 3


@pytest.mark.parametrize("good", [3, 4])
def test_closing_after_a_loss_that_is_no_number_leaves_the_last_good_checkpoint(tmp_path: Path, good: int) -> None:
    run = breaking(new_run(tmp_path, "kd"), good, float("nan"))
    stopped_after(run, good + 1)  # before the next point of the series, which would have found it
    assert not all(value.isfinite().all() for value in run.state.student.state_dict().values())
    assert kept(run) == 3


def test_weights_that_a_finite_loss_broke_are_found_before_they_are_saved(tmp_path: Path) -> None:
    run = new_run(tmp_path, "kd")
    name, weight = list(run.state.student.named_parameters())[-1]
    passes = iter(range(100))
    weight.register_hook(lambda gradient: gradient * (float("nan") if next(passes) == 5 else 1))
    error = until_it_diverges(run)
    assert f"The weights stopped being finite numbers in epoch 2, by step 6: {name} is broken." in error.message
    assert kept(run) == 3


def test_an_epoch_that_ends_between_two_points_is_looked_at_before_it_is_saved(tmp_path: Path) -> None:
    run = with_steps(new_run(tmp_path, "kd", batch_size=2), 21)  # a point every second step, so none at the end of the epoch
    assert "in epoch 1, at step 21:" in until_it_diverges(breaking(run, 20, float("nan"))).message
    assert not (tmp_path / FILE).exists()
