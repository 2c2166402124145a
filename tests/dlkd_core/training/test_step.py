"""Tests for steps in micro-batches: unchanged results, and recovery when memory runs out."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from dlkd_core.errors import OutOfMemory
from dlkd_core.events import CHECKPOINT_FILE, Notice, StepFinished
from dlkd_core.network_outputs import Outputs
from dlkd_core.training.checkpoint import TrainingState
from dlkd_core.training.loop import TrainingRun, train
from dlkd_core.training.step import TrainingStep
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


class LimitedMemory(nn.Module):
    """Forward hook that runs out of memory if a batch has too many rows, as a GPU would."""

    def __init__(self, rows: int) -> None:
        super().__init__()
        self.max_rows, self.calls = rows, list[int]()

    def __call__(self, _module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        self.calls.append(len(output))
        torch.rand(1)  # draws a random number, as dropout does
        if len(output) > self.max_rows:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


def limit_memory(run: TrainingRun, rows: int) -> LimitedMemory:
    memory = LimitedMemory(rows)
    run.state.student.network.get_submodule("layer3").register_forward_hook(memory)
    return memory


def without_batch_statistics(run: TrainingRun) -> TrainingRun:
    """Make batch norm use running statistics, so that images do not affect each other."""
    for module in run.state.student.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.train = lambda _mode=True, module=module: module  # type: ignore[method-assign]  # keeps evaluation mode
            module.training = False
    return run


def train_one_step(directory: Path, max_grad_norm: float) -> float:
    """Return the L2 norm of the update of one SGD step with a learning rate of 1."""
    run = make_run(
        directory,
        "dlkd",
        max_steps=1,
        max_grad_norm=max_grad_norm,
        learning_rate=1,
        schedule={"name": "constant"},
    )
    parameters = [*run.state.student.parameters(), *run.state.objective.parameters()]
    before = nn.utils.parameters_to_vector(parameters).detach().clone()
    list(train(run))
    return (nn.utils.parameters_to_vector(parameters) - before).norm().item()


def test_gradients_of_student_and_objective_are_clipped_to_their_common_norm(
    tmp_path: Path,
) -> None:
    norm = train_one_step(tmp_path, max_grad_norm=0)
    assert train_one_step(tmp_path, max_grad_norm=2 * norm) == pytest.approx(norm, rel=1e-4)
    assert train_one_step(tmp_path, max_grad_norm=norm / 4) == pytest.approx(norm / 4, rel=1e-4)


@pytest.mark.parametrize("micro_batches", [2, 3, 4, 50])
@pytest.mark.parametrize(
    ("method", "options"), [("plain", {}), ("kd", {}), ("kd", {"mixup": 0.5, "cutmix": 1})]
)
def test_micro_batches_equal_the_full_batch_if_images_do_not_interact(
    tmp_path: Path, method: str, options: dict[str, float], micro_batches: int
) -> None:
    whole = without_batch_statistics(make_run(tmp_path, method, epochs=1, **options))
    split = without_batch_statistics(
        make_run(tmp_path, method, epochs=1, accumulate=micro_batches, **options)
    )
    points = [
        [event.values for event in train(run) if hasattr(event, "values")] for run in (whole, split)
    ]
    assert [value for point in points[1] for value in point.values()] == pytest.approx(
        [value for point in points[0] for value in point.values()], rel=1e-4
    )
    expected, tensors = collect_tensors(whole.state), collect_tensors(split.state)
    assert all(torch.allclose(value, tensors[name], atol=1e-5) for name, value in expected.items())


def test_each_micro_batch_has_at_least_two_complete_images(tmp_path: Path) -> None:
    run = make_run(tmp_path, "dlkd", epochs=1, accumulate=3)
    memory = limit_memory(run, 1000)
    list(train(run))
    # The batches have 8, 8 and 4 images, and each image has four views.
    assert [rows // 4 for rows in memory.calls] == [3, 3, 2, 3, 3, 2, 2, 2]


@pytest.mark.parametrize("method", ["plain", "dlkd", "crd"])
def test_out_of_memory_repeats_the_step_with_twice_the_micro_batches(
    tmp_path: Path, method: str
) -> None:
    views = 4 if method == "dlkd" else 1
    run, expected = make_run(tmp_path, method), make_run(tmp_path, method, accumulate=4)
    limit_memory(run, 3 * views)  # enough for 3 images, but not for batches of 8 and 4
    limit_memory(expected, 1000)
    torch.manual_seed(1)
    events = list(train(run))
    random_number = torch.rand(1)
    torch.manual_seed(1)
    list(train(expected))
    assert torch.equal(random_number, torch.rand(1))
    assert finished_steps(events) == list(range(1, 7))
    first, second = notice_messages(events)
    assert "in 2 micro-batches" in first
    assert "in 4 micro-batches" in second
    assert run.state.progress.micro_batches == 4
    assert tensors_equal(collect_tensors(run.state), collect_tensors(expected.state))


def test_out_of_memory_in_a_later_step_keeps_the_finished_steps(tmp_path: Path) -> None:
    run, expected = make_run(tmp_path, "crd"), make_run(tmp_path, "crd")
    memory = limit_memory(run, 1000)
    for event in train(run):
        if isinstance(event, StepFinished) and event.step == 3:
            memory.max_rows = 4
    for event in train(expected):
        if isinstance(event, StepFinished) and event.step == 3:
            expected.state.progress.micro_batches = 2
    assert tensors_equal(collect_tensors(run.state), collect_tensors(expected.state))


def test_the_number_of_micro_batches_is_resumed_bit_for_bit(tmp_path: Path) -> None:
    whole = make_run(tmp_path / "whole")
    limit_memory(whole, 4)
    list(train(whole))
    stopped = make_run(tmp_path / "stopped")
    limit_memory(stopped, 4)
    stop_after(stopped, 2)
    resumed = make_run(tmp_path / "resumed")  # this run has enough memory
    assert notice_messages(resume(resumed, tmp_path / "stopped")) == []
    assert tensors_equal(collect_tensors(resumed.state), collect_tensors(whole.state))


def test_closing_at_the_out_of_memory_notice_saves_the_finished_steps(
    tmp_path: Path,
) -> None:
    run = make_run(tmp_path, "crd")
    before = {
        name: tensor.clone()
        for name, tensor in (
            run.state.student.state_dict() | run.state.objective.state_dict()
        ).items()
    }
    limit_memory(run, 4)
    run_events = train(run)
    assert isinstance(next(run_events), Notice)
    run_events.close()
    fresh = make_run(tmp_path, "crd", seed=3)
    assert fresh.state.load(tmp_path / CHECKPOINT_FILE, digest="this run") == 0
    assert tensors_equal(
        fresh.state.student.state_dict() | fresh.state.objective.state_dict(), before
    )
    assert fresh.state.progress.micro_batches == 2


def test_the_run_ends_if_not_even_two_images_fit(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    limit_memory(run, 1)
    with pytest.raises(torch.OutOfMemoryError):
        list(train(run))
    assert not list(tmp_path.iterdir())


def test_out_of_memory_in_the_teacher_splits_the_batch_too(tmp_path: Path) -> None:
    run = make_run(tmp_path, "kd", epochs=1)
    batch_sizes: list[int] = []

    def limited_teacher(images: Tensor) -> Outputs:
        batch_sizes.append(len(images))
        if len(images) > 4:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return teacher(images)

    list(train(replace(run, teacher=limited_teacher)))
    assert batch_sizes == [8, 4, 4, 4, 4, 2, 2]


def test_out_of_memory_in_the_update_is_not_retried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(tmp_path)

    def broken(_self: object, _closure: object = None) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(type(run.state.optimizer), "step", broken)
    with pytest.raises(torch.OutOfMemoryError):
        list(train(run))


def test_a_run_that_does_not_fit_fails_with_a_hint(
    make_spec: MakeSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_state: TrainingState, *_args: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr(TrainingStep, "_accumulate_gradients", broken)
    with pytest.raises(OutOfMemory, match="out of memory"):
        run_to_report(make_spec(training={"epochs": 1}), tmp_path)
