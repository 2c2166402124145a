"""A step in parts: the same step where images do not meet, and a way out where the memory is too small."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from dlkd_core.checkpoint import FILE, State
from dlkd_core.errors import OutOfMemory
from dlkd_core.events import Event, Noticed, StepDone
from dlkd_core.outputs import Outputs
from dlkd_core.pipeline import run as distil
from dlkd_core.training import Run, train

from .conftest import MakeSpec
from .loop import everything, new_run, same


class Small(nn.Module):
    """A memory for so many rows: a hook on the network that fails as a GPU does, in the middle of the forward pass."""

    def __init__(self, rows: int) -> None:
        super().__init__()
        self.rows, self.seen = rows, list[int]()

    def __call__(self, _module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        self.seen.append(len(output))
        torch.rand(1)  # as dropout would
        if len(output) > self.rows:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


def limited(run: Run, rows: int) -> Small:
    small = Small(rows)
    run.state.student.network.get_submodule("layer3").register_forward_hook(small)
    return small


def without_batch_statistics(run: Run) -> Run:
    """Batch norms that use their running statistics: then images do not meet in the network."""
    for module in run.state.student.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.train = lambda _mode=True, module=module: module  # type: ignore[method-assign]  # it stays as it is
            module.training = False
    return run


def notices(events: list[Event]) -> list[str]:
    return [event.message for event in events if isinstance(event, Noticed)]


@pytest.mark.parametrize("parts", [2, 3, 4, 50])
@pytest.mark.parametrize("method", ["plain", "kd"])
def test_parts_add_up_to_the_whole_batch_where_images_do_not_meet(tmp_path: Path, method: str, parts: int) -> None:
    whole = without_batch_statistics(new_run(tmp_path, method, epochs=1))
    split = without_batch_statistics(new_run(tmp_path, method, epochs=1, accumulate=parts))
    points = [[event.values for event in train(run) if hasattr(event, "values")] for run in (whole, split)]
    assert [value for point in points[1] for value in point.values()] == pytest.approx(
        [value for point in points[0] for value in point.values()], rel=1e-4
    )
    one, other = everything(whole.state), everything(split.state)
    assert all(torch.allclose(tensor, other[name], atol=1e-5) for name, tensor in one.items())


def test_each_part_has_whole_images_and_two_at_least(tmp_path: Path) -> None:
    run = new_run(tmp_path, "dlkd", epochs=1, accumulate=3)
    small = limited(run, 1000)
    list(train(run))
    assert [rows // 4 for rows in small.seen] == [3, 3, 2, 3, 3, 2, 2, 2]  # batches of 8, 8 and 4 images in four views


@pytest.mark.parametrize("method", ["plain", "dlkd", "crd"])
def test_where_the_memory_runs_out_the_same_step_is_made_in_twice_the_parts(tmp_path: Path, method: str) -> None:
    views = 4 if method == "dlkd" else 1
    run, expected = new_run(tmp_path, method), new_run(tmp_path, method, accumulate=4)
    limited(run, 3 * views)  # of batches of 8: neither whole nor in halves
    limited(expected, 1000)
    torch.manual_seed(1)
    events = list(train(run))
    drawn = torch.rand(1)
    torch.manual_seed(1)
    list(train(expected))
    assert torch.equal(drawn, torch.rand(1))
    assert [event.step for event in events if isinstance(event, StepDone)] == list(range(1, 7))
    assert ["in 2 parts" in notices(events)[0], "in 4 parts" in notices(events)[1]] == [True, True]
    assert len(notices(events)) == 2
    assert run.state.progress.parts == 4
    assert same(everything(run.state), everything(expected.state))


def test_memory_that_runs_out_later_costs_no_step_that_was_made(tmp_path: Path) -> None:
    run, expected = new_run(tmp_path, "crd"), new_run(tmp_path, "crd")
    small = limited(run, 1000)
    for event in train(run):
        if isinstance(event, StepDone) and event.step == 3:
            small.rows = 4
    work = train(expected)
    for event in work:
        if isinstance(event, StepDone) and event.step == 3:
            expected.state.progress.parts = 2
    assert same(everything(run.state), everything(expected.state))


def test_the_parts_that_fitted_are_resumed_bit_for_bit(tmp_path: Path) -> None:
    whole = new_run(tmp_path / "whole")
    limited(whole, 4)
    list(train(whole))
    stopped = new_run(tmp_path / "stopped")
    limited(stopped, 4)
    work = train(stopped)
    next(event for event in work if isinstance(event, StepDone) and event.step == 2)
    work.close()
    again = new_run(tmp_path / "again")  # with memory enough
    events = list(train(again, again.state.load(tmp_path / "stopped" / FILE, digest="this run")))
    assert notices(events) == []
    assert same(everything(again.state), everything(whole.state))


def test_closing_at_the_word_that_memory_ran_out_leaves_the_steps_that_were_finished(tmp_path: Path) -> None:
    run = new_run(tmp_path, "crd")
    before = {
        name: tensor.clone() for name, tensor in (run.state.student.state_dict() | run.state.objective.state_dict()).items()
    }
    limited(run, 4)
    work = train(run)
    assert isinstance(next(iter(work)), Noticed)
    work.close()
    fresh = new_run(tmp_path, "crd", seed=3)
    assert fresh.state.load(tmp_path / FILE, digest="this run") == 0
    assert same(fresh.state.student.state_dict() | fresh.state.objective.state_dict(), before)
    assert fresh.state.progress.parts == 2


def test_where_not_even_two_images_fit_the_run_ends(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    limited(run, 1)
    seen: list[Event] = []
    with pytest.raises(torch.OutOfMemoryError):
        seen.extend(train(run))
    assert not list(tmp_path.iterdir())


def test_the_teachers_memory_counts_too(tmp_path: Path) -> None:
    run = new_run(tmp_path, "kd", epochs=1)
    shown: list[int] = []

    def teacher(images: Tensor) -> Outputs:
        shown.append(len(images))
        if len(images) > 4:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return run.teacher(images)

    list(train(replace(run, teacher=teacher)))
    assert shown == [8, 4, 4, 4, 4, 2, 2]


def test_an_update_without_memory_is_not_made_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = new_run(tmp_path)

    def broken(_self: object, _closure: object = None) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(type(run.state.optimizer), "step", broken)
    with pytest.raises(torch.OutOfMemoryError):
        list(train(run))


def test_a_run_that_fits_in_no_parts_says_what_to_do(
    make_spec: MakeSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_state: State, *_args: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr("dlkd_core.step.Stepper._sum", broken)
    with pytest.raises(OutOfMemory, match="out of memory"):
        list(distil(make_spec(training={"epochs": 1}), tmp_path))
