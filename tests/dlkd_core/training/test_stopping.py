"""Tests for ending runs early by a time limit or by `patience`, also after a resume."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from dlkd_core.events import (
    CHECKPOINT_FILE,
    CheckpointSaved,
    MetricsRecorded,
    StepFinished,
)
from dlkd_core.network_outputs import Outputs
from dlkd_core.training.loop import TrainingRun, train
from tests.dlkd_core.conftest import MakeSpec
from tests.dlkd_core.run_helpers import finished_steps, notice_messages, run_to_report
from tests.dlkd_core.training.small_run import (
    collect_tensors,
    make_run,
    resume,
    stop_after,
    teacher,
    tensors_equal,
)


class FakeClock:
    """Clock that advances by one second when the teacher is called, which is once per step."""

    def __init__(self, start: float) -> None:
        self.now = start

    def __call__(self) -> float:
        return self.now

    def attach(self, run: TrainingRun) -> TrainingRun:
        def timed_teacher(images: torch.Tensor) -> Outputs:
            self.now += 1
            return teacher(images)

        return replace(run, teacher=timed_teacher, clock=self)


def with_fake_clock(run: TrainingRun, start: float = 1000.0) -> TrainingRun:
    return FakeClock(start).attach(run)


def make_evaluate(*values: float) -> Callable[[], dict[str, float]]:
    remaining = iter(values)
    return lambda: {"top1": next(remaining)}


def test_the_time_limit_ends_a_run_mid_epoch_with_metrics_checkpoint_and_notice(
    tmp_path: Path,
) -> None:
    run = with_fake_clock(
        make_run(
            tmp_path, evaluate=lambda: {"top1": 0.5}, epochs=9, evaluate_every=9, max_seconds=5
        )
    )
    events = list(train(run))
    assert finished_steps(events) == [1, 2, 3, 4, 5]
    assert [event.step for event in events if isinstance(event, CheckpointSaved)] == [3, 5]
    points = [
        (event.step, "val/top1" in event.values)
        for event in events
        if isinstance(event, MetricsRecorded)
    ][-2:]
    assert points == [(5, False), (5, True)]
    assert notice_messages(events) == [
        "Training stopped after step 5 of 27: the limit of 5 seconds (max_seconds) is reached."
    ]
    assert run.state.progress.steps == 5


def test_the_schedule_is_not_scaled_to_the_time_limit(tmp_path: Path) -> None:
    schedule = {"name": "cosine"}
    short = with_fake_clock(make_run(tmp_path, epochs=4, max_seconds=5, schedule=schedule))
    whole = make_run(tmp_path, epochs=4, schedule=schedule)
    assert [short.learning_rate(step) for step in range(12)] == [
        whole.learning_rate(step) for step in range(12)
    ]
    list(train(short))
    for event in train(whole):
        if isinstance(event, StepFinished) and event.step == 5:
            assert tensors_equal(collect_tensors(short.state), collect_tensors(whole.state))


@pytest.mark.parametrize("stop", [1, 3, 5], ids=["early", "between epochs", "at the limit"])
def test_training_time_counts_across_resumes_but_not_between_them(
    tmp_path: Path, stop: int
) -> None:
    stop_after(with_fake_clock(make_run(tmp_path, epochs=9, max_seconds=5)), stop)
    resumed = with_fake_clock(make_run(tmp_path, epochs=9, max_seconds=5), start=9_000_000)
    events = list(resume(resumed, tmp_path))
    assert finished_steps(events) == list(range(stop + 1, 6))
    assert len(notice_messages(events)) == 1


def test_patience_ends_the_run_after_so_many_epochs_without_improvement(tmp_path: Path) -> None:
    evaluate = make_evaluate(0.1, 0.4, 0.4, 0.3, 0.9)
    events = list(train(make_run(tmp_path, evaluate=evaluate, epochs=9, patience=2)))
    assert finished_steps(events)[-1] == 12  # the third step of the fourth epoch
    (message,) = notice_messages(events)
    assert message == (
        "Training stopped after step 12 of 27: val top-1 has not improved for 2 epochs"
        " (best: 0.4000 after epoch 2)."
    )


def test_patience_counts_only_at_evaluations(tmp_path: Path) -> None:
    run = make_run(
        tmp_path, evaluate=make_evaluate(0.4, 0.5, 0.5, 0.5), epochs=9, patience=1, evaluate_every=2
    )
    assert (
        finished_steps(list(train(run)))[-1] == 18
    )  # best after epoch 4, no improvement after epoch 6


@pytest.mark.parametrize(
    "stop", [6, 7, 9, 11], ids=["before the best", "mid-epoch", "between epochs", "last but one"]
)
def test_patience_continues_after_a_resume_and_no_evaluation_is_lost(
    tmp_path: Path, stop: int
) -> None:
    scores = [0.1, 0.4, 0.4, 0.3, 0.9]
    run = make_run(tmp_path, evaluate=make_evaluate(*scores), epochs=9, patience=2)
    stop_after(run, stop)  # after the last step of an epoch, the run stops before the evaluation
    remaining = make_evaluate(*scores[(stop - 1) // 3 :])
    resumed = make_run(tmp_path, evaluate=remaining, epochs=9, patience=2)
    events = list(resume(resumed, tmp_path))
    assert finished_steps(events)[-1] == 12
    assert "(best: 0.4000 after epoch 2)" in notice_messages(events)[0]


def test_the_checkpoint_of_an_epoch_includes_its_evaluation(tmp_path: Path) -> None:
    evaluate = make_evaluate(0.1, 0.4, 0.4, 0.3)
    checkpoint = b""  # content of the file that remains if the process is killed after saving
    for event in train(make_run(tmp_path, evaluate=evaluate, epochs=9, patience=2)):
        if isinstance(event, CheckpointSaved) and event.step == 12:
            checkpoint = (tmp_path / CHECKPOINT_FILE).read_bytes()
    (tmp_path / CHECKPOINT_FILE).write_bytes(checkpoint)
    resumed = make_run(tmp_path, evaluate=make_evaluate(), epochs=9, patience=2)
    events = list(resume(resumed, tmp_path))
    assert finished_steps(events) == []
    assert len(notice_messages(events)) == 1


def test_without_limits_the_run_ends_at_its_last_step_without_a_notice(tmp_path: Path) -> None:
    run = with_fake_clock(make_run(tmp_path, evaluate=lambda: {"top1": 0.1}, epochs=5))
    events = list(train(run))
    assert finished_steps(events) == list(range(1, 16))
    assert notice_messages(events) == []


def test_a_run_that_ends_early_is_exported_and_reports_its_steps(
    make_spec: MakeSpec, tmp_path: Path
) -> None:
    spec = make_spec(training={"epochs": 4, "max_seconds": 1e-9})
    assert run_to_report(spec, tmp_path)["lineage"]["steps"] == 1
    assert (tmp_path / "student.safetensors").exists()
