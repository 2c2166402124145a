"""Tests for the training loop: steps, events, and stopping and resuming at any step."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor

from dlkd_core.events import CHECKPOINT_FILE, CheckpointSaved, MetricsRecorded, StepFinished
from dlkd_core.network_outputs import Outputs, Targets
from dlkd_core.training.loop import train
from tests.dlkd_core.run_helpers import finished_steps
from tests.dlkd_core.training.small_run import (
    collect_tensors,
    make_run,
    stop_after,
    teacher,
    tensors_equal,
)

RESUMED_METHODS = [
    "plain",
    "kd",
    "dlkd",
    "dlkd_sup",
    "crd",
    "vid",
    "sskd",
    "srrl",
    "reviewkd",
    "ft",
    "ab",
    "ofa",
    "seed",
    "compress",
]


@pytest.mark.parametrize("method", RESUMED_METHODS)
@pytest.mark.parametrize("stop", [1, 4, 5], ids=["first step", "mid-epoch", "last but one"])
def test_a_resumed_run_ends_with_the_same_weights_heads_and_momentum_bit_for_bit(
    tmp_path: Path, method: str, stop: int
) -> None:
    whole = make_run(tmp_path / "whole", method)
    list(train(whole))
    stop_after(make_run(tmp_path / "stopped", method), stop)
    torch.manual_seed(99)
    resumed = make_run(tmp_path / "resumed", method)
    torch.rand(7)  # put the random state elsewhere, as in a new process
    start = resumed.state.load(tmp_path / "stopped" / CHECKPOINT_FILE, digest="this run")
    assert start == stop
    assert finished_steps(list(train(resumed, start))) == list(range(stop + 1, 7))
    assert tensors_equal(collect_tensors(resumed.state), collect_tensors(whole.state))


def test_closing_the_iterator_saves_a_checkpoint_of_the_last_finished_step(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    stop_after(run, 2)
    expected = collect_tensors(run.state)
    fresh = make_run(tmp_path)
    assert not tensors_equal(collect_tensors(fresh.state), expected)
    assert fresh.state.load(tmp_path / CHECKPOINT_FILE, digest="this run") == 2
    assert tensors_equal(collect_tensors(fresh.state), expected)


def test_a_checkpoint_is_saved_expected_of_every_epoch(tmp_path: Path) -> None:
    saved = [
        event for event in train(make_run(tmp_path, epochs=3)) if isinstance(event, CheckpointSaved)
    ]
    assert [(event.path, event.step) for event in saved] == [
        (str(tmp_path / CHECKPOINT_FILE), step) for step in (3, 6, 9)
    ]


def test_the_loss_falls(tmp_path: Path) -> None:
    events = [
        event
        for event in train(make_run(tmp_path, epochs=40))
        if isinstance(event, MetricsRecorded)
    ]
    losses = [event.values["train/loss"] for event in events if "train/loss" in event.values]
    assert sum(losses[-6:]) < 0.5 * sum(losses[:6])


def test_each_step_uses_the_scheduled_learning_rate(tmp_path: Path) -> None:
    schedule = {"name": "step", "milestones": [0.5], "warmup_epochs": 1}
    run = make_run(tmp_path, epochs=4, schedule=schedule)
    rates = [
        run.state.optimizer.param_groups[0]["lr"]
        for event in train(run)
        if isinstance(event, StepFinished)
    ]
    assert rates == pytest.approx([0.05 / 3, 0.1 / 3, 0.05, *[0.05] * 3, *[0.005] * 6])
    assert rates == [run.learning_rate(step) for step in range(12)]


def test_recorded_metrics_are_means_since_the_last_point(tmp_path: Path) -> None:
    run = make_run(tmp_path, batch_size=1 << 1, epochs=2)
    losses: list[float] = []
    forward = run.state.objective.forward

    def recording_forward(
        student_outputs: Outputs, teacher_outputs: Outputs, targets: Targets
    ) -> tuple[Tensor, dict[str, Tensor]]:
        loss, terms = forward(student_outputs, teacher_outputs, targets)
        losses.append(loss.item())
        return loss, terms

    run.state.objective.forward = recording_forward  # type: ignore[method-assign]  # wraps the original
    points = [
        event
        for event in train(run)
        if isinstance(event, MetricsRecorded) and "train/loss" in event.values
    ]
    # an epoch has ten batches, so metrics are logged at every step
    assert [point.step for point in points] == list(range(1, 21))
    assert [point.values["train/loss"] for point in points] == pytest.approx(losses)
    assert all(point.values["train/labels"] == point.values["train/loss"] for point in points)


def test_a_run_ends_after_max_steps_with_a_checkpoint_and_an_evaluation(tmp_path: Path) -> None:
    events = list(train(make_run(tmp_path, evaluate=lambda: {"top1": 0.5}, epochs=9, max_steps=4)))
    assert finished_steps(events) == [1, 2, 3, 4]
    evaluated = [
        (event.epoch, event.step)
        for event in events
        if isinstance(event, MetricsRecorded) and "val/top1" in event.values
    ]
    assert evaluated == [(1, 3), (2, 4)]
    assert [event.step for event in events if isinstance(event, CheckpointSaved)] == [3, 4]


def test_the_student_is_evaluated_on_schedule_and_at_the_end_and_stays_in_training_mode(
    tmp_path: Path,
) -> None:
    def evaluate() -> dict[str, float]:
        run.state.student.eval()
        return {"top1": 0.25}

    run = make_run(tmp_path, evaluate=evaluate, epochs=5, evaluate_every=2)
    epochs = []
    for event in train(run):
        if isinstance(event, MetricsRecorded) and "val/top1" in event.values:
            assert event.values == {"val/top1": 0.25}
            epochs.append(event.epoch)
        assert run.state.student.training
    assert epochs == [2, 4, 5]


def test_the_teacher_gets_the_views_of_the_student_and_no_gradient(
    tmp_path: Path,
) -> None:
    run = make_run(tmp_path, "dlkd")
    calls: list[tuple[Tensor, bool]] = []

    def recording_teacher(images: Tensor) -> Outputs:
        calls.append((images, torch.is_grad_enabled()))
        return teacher(images)

    next(train(replace(run, teacher=recording_teacher)))
    ((images, grad),) = calls
    assert images.shape == (8 * 4, 3, 8, 8)
    assert torch.equal(images, next(run.batches.iterate(0, 1))[0])
    assert not grad


def test_a_run_without_a_teacher_is_that_of_a_teacher_that_no_term_uses(tmp_path: Path) -> None:
    run, without_teacher = make_run(tmp_path, "plain"), make_run(tmp_path, "plain")
    list(train(run))
    list(train(replace(without_teacher, teacher=None)))
    assert tensors_equal(collect_tensors(without_teacher.state), collect_tensors(run.state))


def test_a_compiled_student_learns_the_same_weights_under_the_same_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # the network is traced without a C++ compiler
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager"))
    eager = make_run(tmp_path, "dlkd", max_steps=2)
    compiled = make_run(tmp_path, "dlkd", max_steps=2, compile="always")
    list(train(eager))
    before = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    list(train(compiled))
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] > before
    expected, tensors = collect_tensors(eager.state), collect_tensors(compiled.state)
    assert tensors.keys() == expected.keys()
    assert all(torch.allclose(value, expected[name], atol=1e-4) for name, value in tensors.items())
