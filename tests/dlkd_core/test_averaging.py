"""The average of the student's weights: what it is, and that it is what is measured, shipped and resumed."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from dlkd_core import events
from dlkd_core.checkpoint import FILE
from dlkd_core.events import Event, StepDone
from dlkd_core.pipeline import run as distil
from dlkd_core.training import Run, train

from .conftest import MakeSpec
from .loop import everything, new_run, same
from .test_training import stopped_after


def weights_of_each_step(run: Run) -> list[dict[str, Tensor]]:
    return [
        {name: value.clone() for name, value in run.state.student.state_dict().items()}
        for event in train(run)
        if isinstance(event, StepDone)
    ]


def test_it_is_the_decaying_mean_of_weights_and_batch_statistics_from_the_first_step_on(tmp_path: Path) -> None:
    run = new_run(tmp_path, ema=0.75)
    first, *others = weights_of_each_step(run)
    expected = dict(first)
    for one in others:
        expected = {name: 0.75 * held + 0.25 * one[name] for name, held in expected.items()}
    found = run.state.result.state_dict()
    floats = [name for name, value in found.items() if value.is_floating_point()]
    assert any("running_var" in name for name in floats)
    assert all(torch.allclose(found[name], expected[name], atol=1e-6) for name in floats)
    assert not torch.allclose(found["network.fc.weight"], others[-1]["network.fc.weight"], atol=1e-4)


def test_it_leaves_the_training_of_the_student_as_it_was_bit_for_bit(tmp_path: Path) -> None:
    plain, averaged = new_run(tmp_path, "dlkd"), new_run(tmp_path, "dlkd", ema=0.9)
    list(train(plain))
    list(train(averaged))
    assert same(plain.state.student.state_dict(), averaged.state.student.state_dict())
    assert plain.state.result is plain.state.student
    assert averaged.state.result is not averaged.state.student


@pytest.mark.parametrize("stop", [1, 4])
def test_it_is_resumed_bit_for_bit(tmp_path: Path, stop: int) -> None:
    whole = new_run(tmp_path / "whole", ema=0.9)
    list(train(whole))
    stopped_after(new_run(tmp_path / "stopped", ema=0.9), stop)
    again = new_run(tmp_path / "again", ema=0.9)
    list(train(again, again.state.load(tmp_path / "stopped" / FILE, digest="this run")))
    assert any(name.startswith("average.") for name in everything(whole.state))
    assert same(everything(again.state), everything(whole.state))


def test_it_is_what_is_evaluated_and_exported(make_spec: MakeSpec, tmp_path: Path) -> None:
    seen: list[Event] = list(distil(make_spec(training={"epochs": 2, "ema": 0.5}), tmp_path))
    finished = seen[-1]
    assert isinstance(finished, events.Finished)
    saved = torch.load(tmp_path / FILE, weights_only=True)
    shipped = load_file(tmp_path / "student.safetensors")["fc.weight"]
    assert torch.equal(shipped, saved["average"]["module.network.fc.weight"])
    assert not torch.equal(shipped, saved["student"]["network.fc.weight"])
    evaluated = [event.values["val/nll"] for event in seen if isinstance(event, events.Measured) and "val/nll" in event.values]
    assert evaluated[-1] == pytest.approx(finished.report["metrics"]["student"]["nll"], abs=1e-4)
