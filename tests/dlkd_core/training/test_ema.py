"""Tests for evaluating, exporting and resuming the EMA of the student's weights."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from dlkd_core import events
from dlkd_core.events import CHECKPOINT_FILE, StepFinished
from dlkd_core.training.loop import TrainingRun, train
from tests.dlkd_core.conftest import MakeSpec
from tests.dlkd_core.run_helpers import load_student_weights, run_to_end
from tests.dlkd_core.training.small_run import (
    collect_tensors,
    make_run,
    resume,
    stop_after,
    tensors_equal,
)


def collect_step_weights(run: TrainingRun) -> list[dict[str, Tensor]]:
    return [
        {name: value.clone() for name, value in run.state.student.state_dict().items()}
        for event in train(run)
        if isinstance(event, StepFinished)
    ]


def test_ema_is_the_moving_average_of_weights_and_batch_statistics(
    tmp_path: Path,
) -> None:
    run = make_run(tmp_path, ema=0.75)
    first, *others = collect_step_weights(run)
    expected = dict(first)
    for weights in others:
        expected = {name: 0.75 * value + 0.25 * weights[name] for name, value in expected.items()}
    average = run.state.eval_student.state_dict()
    floats = [name for name, value in average.items() if value.is_floating_point()]
    assert any("running_var" in name for name in floats)
    assert all(torch.allclose(average[name], expected[name], atol=1e-6) for name in floats)
    last = others[-1]["network.fc.weight"]
    assert not torch.allclose(average["network.fc.weight"], last, atol=1e-4)


def test_ema_does_not_change_the_training_of_the_student(tmp_path: Path) -> None:
    plain, averaged = make_run(tmp_path, "dlkd"), make_run(tmp_path, "dlkd", ema=0.9)
    list(train(plain))
    list(train(averaged))
    assert tensors_equal(plain.state.student.state_dict(), averaged.state.student.state_dict())
    assert plain.state.eval_student is plain.state.student
    assert averaged.state.eval_student is not averaged.state.student


@pytest.mark.parametrize("stop", [1, 4])
def test_ema_is_resumed_bit_for_bit(tmp_path: Path, stop: int) -> None:
    whole = make_run(tmp_path / "whole", ema=0.9)
    list(train(whole))
    stop_after(make_run(tmp_path / "stopped", ema=0.9), stop)
    resumed = make_run(tmp_path / "resumed", ema=0.9)
    list(resume(resumed, tmp_path / "stopped"))
    assert any(name.startswith("average.") for name in collect_tensors(whole.state))
    assert tensors_equal(collect_tensors(resumed.state), collect_tensors(whole.state))


def test_ema_is_evaluated_and_exported(make_spec: MakeSpec, tmp_path: Path) -> None:
    spec = make_spec(training={"epochs": 2, "ema": 0.5})
    report, run_events = run_to_end(spec, tmp_path)
    checkpoint = torch.load(tmp_path / CHECKPOINT_FILE, weights_only=True)
    exported = load_student_weights(tmp_path)["fc.weight"]
    assert torch.equal(exported, checkpoint["average"]["module.network.fc.weight"])
    assert not torch.equal(exported, checkpoint["student"]["network.fc.weight"])
    evaluated = [
        event.values["val/nll"]
        for event in run_events
        if isinstance(event, events.MetricsRecorded) and "val/nll" in event.values
    ]
    assert evaluated[-1] == pytest.approx(report["metrics"]["student"]["nll"], abs=1e-4)
