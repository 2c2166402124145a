"""The loop: what it does in a step, what it tells, and that it can be stopped anywhere."""

from functools import partial
from itertools import islice
from pathlib import Path

import pytest
import torch
from torch import Tensor

from dlkd_core.checkpoint import FILE
from dlkd_core.events import CheckpointSaved, Event, Measured, StepDone
from dlkd_core.outputs import Outputs
from dlkd_core.training import Run, train

from .loop import everything, new_run, same, teacher

RESUMED = ["plain", "kd", "dlkd", "dlkd_sup", "crd", "vid", "sskd", "srrl", "reviewkd", "ft", "ab", "seed", "compress"]


def steps(events: list[Event]) -> list[int]:
    return [event.step for event in events if isinstance(event, StepDone)]


def stopped_after(run: Run, step: int) -> None:
    work = train(run)
    next(event for event in work if isinstance(event, StepDone) and event.step == step)
    work.close()


@pytest.mark.parametrize("method", RESUMED)
@pytest.mark.parametrize("stop", [1, 4, 5], ids=["first step", "mid-epoch", "last but one"])
def test_a_resumed_run_ends_with_the_same_weights_heads_and_momentum_bit_for_bit(tmp_path: Path, method: str, stop: int) -> None:
    whole = new_run(tmp_path / "whole", method)
    list(train(whole))
    stopped_after(new_run(tmp_path / "stopped", method), stop)
    torch.manual_seed(99)
    again = new_run(tmp_path / "again", method)
    torch.rand(7)  # another process has drawn other numbers by now
    start = again.state.load(tmp_path / "stopped" / FILE, digest="this run")
    assert start == stop
    assert steps(list(train(again, start))) == list(range(stop + 1, 7))
    assert same(everything(again.state), everything(whole.state))


def test_closing_the_iterator_leaves_a_checkpoint_of_the_last_finished_step(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    stopped_after(run, 2)
    at_the_end = everything(run.state)
    fresh = new_run(tmp_path)
    assert not same(everything(fresh.state), at_the_end)
    assert fresh.state.load(tmp_path / FILE, digest="this run") == 2
    assert same(everything(fresh.state), at_the_end)


def test_a_checkpoint_is_saved_at_the_end_of_every_epoch(tmp_path: Path) -> None:
    saved = [event for event in train(new_run(tmp_path, epochs=3)) if isinstance(event, CheckpointSaved)]
    assert [(event.path, event.step) for event in saved] == [(str(tmp_path / FILE), step) for step in (3, 6, 9)]


def test_the_student_learns_what_it_is_shown(tmp_path: Path) -> None:
    events = [event for event in train(new_run(tmp_path, epochs=40)) if isinstance(event, Measured)]
    losses = [event.values["train/loss"] for event in events if "train/loss" in event.values]
    assert sum(losses[-6:]) < 0.5 * sum(losses[:6])


def test_each_step_has_the_rate_of_its_schedule(tmp_path: Path) -> None:
    run = new_run(tmp_path, epochs=4, schedule={"milestones": [0.5], "warmup_epochs": 1})
    rates = [run.state.optimizer.param_groups[0]["lr"] for event in train(run) if isinstance(event, StepDone)]
    assert rates == pytest.approx([0.05 / 3, 0.1 / 3, 0.05, *[0.05] * 3, *[0.005] * 6])
    assert rates == [run.rate(step) for step in range(12)]


def test_a_point_of_the_series_is_the_mean_of_the_steps_since_the_last_one(tmp_path: Path) -> None:
    run = new_run(tmp_path, batch_size=1 << 1, epochs=2)
    seen: list[float] = []
    forward = run.state.objective.forward

    def watched(student: Outputs, taught: Outputs, labels: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        loss, terms = forward(student, taught, labels)
        seen.append(loss.item())
        return loss, terms

    run.state.objective.forward = watched  # type: ignore[method-assign]  # the real one, overheard
    points = [event for event in train(run) if isinstance(event, Measured) and "train/loss" in event.values]
    assert [point.step for point in points] == list(range(1, 21))  # ten batches an epoch: every one is a point
    assert [point.values["train/loss"] for point in points] == pytest.approx(seen)
    assert all(point.values["train/labels"] == point.values["train/loss"] for point in points)


def test_a_run_ends_after_max_steps_with_a_checkpoint_and_an_evaluation(tmp_path: Path) -> None:
    events = list(train(new_run(tmp_path, score=lambda: {"top1": 0.5}, epochs=9, max_steps=4)))
    assert steps(events) == [1, 2, 3, 4]
    evaluated = [(event.epoch, event.step) for event in events if isinstance(event, Measured) and "val/top1" in event.values]
    assert evaluated == [(1, 3), (2, 4)]
    assert [event.step for event in events if isinstance(event, CheckpointSaved)] == [3, 4]


def test_evaluations_come_every_so_many_epochs_and_at_the_end_and_leave_the_student_in_training(tmp_path: Path) -> None:
    def score() -> dict[str, float]:
        run.state.student.eval()
        return {"top1": 0.25}

    run = new_run(tmp_path, score=score, epochs=5, evaluate_every=2)
    epochs = []
    for event in train(run):
        if isinstance(event, Measured) and "val/top1" in event.values:
            assert event.values == {"val/top1": 0.25}
            epochs.append(event.epoch)
        assert run.state.student.training
    assert epochs == [2, 4, 5]


def test_the_teacher_is_shown_the_views_that_the_student_sees_and_gets_no_gradient(tmp_path: Path) -> None:
    run = new_run(tmp_path, "dlkd")
    shown: list[tuple[Tensor, bool]] = []

    def watched(images: Tensor) -> Outputs:
        shown.append((images, torch.is_grad_enabled()))
        return teacher(images)

    list(islice(train(Run(run.spec, run.batches, watched, run.state, run.score, run.directory, run.digest)), 1))
    ((images, grad),) = shown
    assert images.shape == (8 * 4, 3, 8, 8)
    assert torch.equal(images, next(run.batches.from_step(0, 1))[0])
    assert not grad


def test_a_compiled_student_learns_the_same_under_the_same_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager"))  # traced whole, without a C++ compiler
    plain, compiled = new_run(tmp_path, "dlkd", max_steps=2), new_run(tmp_path, "dlkd", max_steps=2, compile="always")
    list(train(plain))
    before = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    list(train(compiled))
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] > before
    one, other = everything(plain.state), everything(compiled.state)
    assert one.keys() == other.keys()
    assert all(torch.allclose(tensor, other[name], atol=1e-4) for name, tensor in one.items())
