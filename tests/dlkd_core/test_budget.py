"""Ends before the last step: by time, by patience, and both over resumes."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from dlkd_core.checkpoint import FILE
from dlkd_core.events import CheckpointSaved, Event, Finished, Measured, Noticed, StepDone
from dlkd_core.outputs import Outputs
from dlkd_core.pipeline import run as distil
from dlkd_core.training import Run, train

from .conftest import MakeSpec
from .loop import everything, new_run, same


class Clock:
    """A second for each step that the teacher is asked for."""

    def __init__(self, run: Run, began: float = 1000.0) -> None:
        self.now, self.teacher = began, run.teacher

    def __call__(self) -> float:
        return self.now

    def timed(self, run: Run) -> Run:
        def teacher(images: torch.Tensor) -> Outputs:
            self.now += 1
            return self.teacher(images)

        return replace(run, teacher=teacher, clock=self)


def timed(run: Run, began: float = 1000.0) -> Run:
    return Clock(run, began).timed(run)


def steps(events: Sequence[Event]) -> list[int]:
    return [event.step for event in events if isinstance(event, StepDone)]


def notices(events: Sequence[Event]) -> list[str]:
    return [event.message for event in events if isinstance(event, Noticed)]


def scoring(*values: float) -> Callable[[], dict[str, float]]:
    left = iter(values)
    return lambda: {"top1": next(left)}


def test_time_ends_the_run_mid_epoch_with_a_point_a_checkpoint_an_evaluation_and_a_word(tmp_path: Path) -> None:
    run = timed(new_run(tmp_path, score=lambda: {"top1": 0.5}, epochs=9, evaluate_every=9, max_seconds=5))
    events = list(train(run))
    assert steps(events) == [1, 2, 3, 4, 5]
    assert [event.step for event in events if isinstance(event, CheckpointSaved)] == [3, 5]
    points = [(event.step, "val/top1" in event.values) for event in events if isinstance(event, Measured)][-2:]
    assert points == [(5, False), (5, True)]
    assert notices(events) == ["Training ends after step 5 of 27: max_seconds (5) are used up."]
    assert run.state.progress.steps == 5


def test_the_schedule_is_not_compressed_to_the_time(tmp_path: Path) -> None:
    schedule = {"name": "cosine"}
    short, whole = (
        timed(new_run(tmp_path, epochs=4, max_seconds=5, schedule=schedule)),
        new_run(tmp_path, epochs=4, schedule=schedule),
    )
    assert [short.rate(step) for step in range(12)] == [whole.rate(step) for step in range(12)]
    list(train(short))
    for event in train(whole):
        if isinstance(event, StepDone) and event.step == 5:
            assert same(everything(short.state), everything(whole.state))


@pytest.mark.parametrize("stop", [1, 3, 5], ids=["early", "between epochs", "when it is used up"])
def test_time_is_counted_over_resumes_and_not_between_them(tmp_path: Path, stop: int) -> None:
    work = train(timed(new_run(tmp_path, epochs=9, max_seconds=5)))
    next(event for event in work if isinstance(event, StepDone) and event.step == stop)
    work.close()
    again = timed(new_run(tmp_path, epochs=9, max_seconds=5), began=9_000_000)
    events = list(train(again, again.state.load(tmp_path / FILE, digest="this run")))
    assert steps(events) == list(range(stop + 1, 6))
    assert len(notices(events)) == 1


def test_patience_ends_the_run_so_many_epochs_after_the_best(tmp_path: Path) -> None:
    events = list(train(new_run(tmp_path, score=scoring(0.1, 0.4, 0.4, 0.3, 0.9), epochs=9, patience=2)))
    assert steps(events)[-1] == 12  # the third step of the fourth epoch
    assert notices(events) == [
        "Training ends after step 12 of 27: val top-1 has not risen in 2 epochs (best: 0.4000 after epoch 2)."
    ]


def test_patience_waits_for_an_evaluation(tmp_path: Path) -> None:
    run = new_run(tmp_path, score=scoring(0.4, 0.5, 0.5, 0.5), epochs=9, patience=1, evaluate_every=2)
    assert steps(list(train(run)))[-1] == 18  # best after epoch 4, not risen after epoch 6


@pytest.mark.parametrize("stop", [6, 7, 9, 11], ids=["before the best", "mid-epoch", "between epochs", "last but one"])
def test_patience_is_not_renewed_by_a_resume_and_no_evaluation_is_lost(tmp_path: Path, stop: int) -> None:
    scores = [0.1, 0.4, 0.4, 0.3, 0.9]
    work = train(new_run(tmp_path, score=scoring(*scores), epochs=9, patience=2))
    next(event for event in work if isinstance(event, StepDone) and event.step == stop)
    work.close()  # at the end of an epoch: just before its evaluation
    again = new_run(tmp_path, score=scoring(*scores[(stop - 1) // 3 :]), epochs=9, patience=2)
    events = list(train(again, again.state.load(tmp_path / FILE, digest="this run")))
    assert steps(events)[-1] == 12
    assert "(best: 0.4000 after epoch 2)" in notices(events)[0]


def test_what_an_evaluation_meant_is_in_the_checkpoint_of_its_epoch(tmp_path: Path) -> None:
    work = train(new_run(tmp_path, score=scoring(0.1, 0.4, 0.4, 0.3), epochs=9, patience=2))
    kept = b""
    for event in work:
        if isinstance(event, CheckpointSaved) and event.step == 12:
            kept = (tmp_path / FILE).read_bytes()  # what is left where the process is killed right after
    (tmp_path / FILE).write_bytes(kept)
    again = new_run(tmp_path, score=scoring(), epochs=9, patience=2)
    events = list(train(again, again.state.load(tmp_path / FILE, digest="this run")))
    assert steps(events) == []
    assert len(notices(events)) == 1


def test_without_either_nothing_ends_early_and_nothing_is_said(tmp_path: Path) -> None:
    run = timed(new_run(tmp_path, score=lambda: {"top1": 0.1}, epochs=5))
    events = list(train(run))
    assert steps(events) == list(range(1, 16))
    assert notices(events) == []


def test_a_run_that_ends_early_is_exported_and_tells_its_steps(make_spec: MakeSpec, tmp_path: Path) -> None:
    finished = list(distil(make_spec(training={"epochs": 4, "max_seconds": 1e-9}), tmp_path))[-1]
    assert isinstance(finished, Finished)
    assert finished.report["lineage"]["steps"] == 1
    assert (tmp_path / "student.safetensors").exists()
