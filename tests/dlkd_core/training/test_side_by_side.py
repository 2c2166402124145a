"""Tests that students trained side by side end as if they had been trained alone."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from dlkd_core.network_outputs import Outputs
from dlkd_core.training.loop import train
from dlkd_core.training.side_by_side import train_side_by_side
from tests.dlkd_core.training.small_run import make_run


def test_students_end_with_the_weights_of_runs_of_their_own(tmp_path: Path) -> None:
    names = ["plain", "kd", "crd"]
    together = [make_run(tmp_path / name, name) for name in names]
    epochs = list(train_side_by_side(together))
    assert len(epochs) == 2
    for name, run in zip(names, together, strict=True):
        alone = make_run(tmp_path / f"{name}_alone", name)
        for _ in train(alone):
            pass
        weights = run.state.student.state_dict()
        for key, value in alone.state.student.state_dict().items():
            torch.testing.assert_close(weights[key], value, rtol=0, atol=0)


def test_teacher_runs_once_per_batch(tmp_path: Path) -> None:
    calls = 0

    def count(images: torch.Tensor) -> Outputs:
        nonlocal calls
        calls += 1
        outputs: Outputs = first.teacher(images)
        return outputs

    first, second = (make_run(tmp_path / name, name) for name in ("kd", "crd"))
    for _ in train_side_by_side([replace(first, teacher=count), replace(second, teacher=count)]):
        pass
    assert calls == first.steps


def test_diverged_student_is_given_up_and_the_others_finish(tmp_path: Path) -> None:
    good = make_run(tmp_path / "good", "kd", evaluate=lambda: {"top1": 0.5}, epochs=10)
    bad = make_run(tmp_path / "bad", "kd", epochs=10, learning_rate=100.0)
    with torch.no_grad():
        next(bad.state.student.parameters()).fill_(float("nan"))
    *_, last = train_side_by_side([bad, good])
    assert last.students[0].diverged_at is not None
    assert last.students[0].metrics == {}
    assert last.students[1].metrics == {"top1": 0.5}
    assert last.students[1].cpu_seconds > last.students[0].cpu_seconds


def test_runs_with_other_batches_are_rejected(tmp_path: Path) -> None:
    runs = [make_run(tmp_path, "kd"), make_run(tmp_path, "kd", batch_size=5)]
    with pytest.raises(ValueError, match="differ"):
        next(train_side_by_side(runs))
