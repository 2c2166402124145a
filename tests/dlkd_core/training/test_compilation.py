"""Tests for the decision whether to compile the student. A fake clock measures the time."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from dlkd_core.errors import SpecError
from dlkd_core.training.compilation import CompiledForward
from dlkd_core.training.loop import train
from dlkd_core.training_spec import CompileMode
from tests.dlkd_core.run_helpers import notice_messages
from tests.dlkd_core.training.small_run import make_run

IMAGES = torch.rand(2, 3, 8, 8)


Traced = list[nn.Module]


@pytest.fixture
def traced_graphs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Traced]:
    """Yield a list of the networks that get compiled.

    They are only traced, not compiled to machine code, so no C++ compiler is needed.
    """
    traced: Traced = []
    trace = partial(torch.compile, backend="aot_eager")
    monkeypatch.setattr(
        torch, "compile", lambda student: (traced.append(student), trace(student))[1]
    )
    yield traced
    torch._dynamo.reset()


class FakeClock:
    """Clock that advances by `seconds` each time it is read."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.now = seconds, 0.0

    def __call__(self) -> float:
        self.now += self.seconds
        return self.now


def collect_notices(forward: CompiledForward, steps: int) -> list[str]:
    notices = []
    for _ in range(steps):
        forward(IMAGES)
        notices.append(forward.record_step())
    return [notice for notice in notices if notice]


class SmallNetwork(nn.Module):
    """Network that is quick to compile."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 2, 3)

    def forward(self, images: Tensor) -> Tensor:
        out: Tensor = self.layer(images)
        return out


@pytest.mark.parametrize(
    ("seconds", "steps_left", "count"), [(1, 500, 0), (1, 2_000, 1), (0.01, 2_000, 0)]
)
def test_the_student_is_compiled_if_the_remaining_steps_make_up_for_it(
    traced_graphs: Traced, seconds: float, steps_left: int, count: int
) -> None:
    student = SmallNetwork()
    forward = CompiledForward(student, CompileMode.AUTO, steps_left, FakeClock(seconds))
    notices = collect_notices(forward, 30)
    assert traced_graphs == [student] * count
    assert len(notices) == count
    assert all("minutes of training are left" in notice for notice in notices)


@pytest.mark.usefixtures("traced_graphs")
@pytest.mark.parametrize(
    ("compiled_seconds", "message"),
    [(0.8, "take 80% of the time"), (1.0, "continues without compiling")],
)
def test_the_gain_is_reported_and_compiling_is_reverted_without_one(
    compiled_seconds: float, message: str
) -> None:
    clock = FakeClock(1)
    student = SmallNetwork()
    forward = CompiledForward(student, CompileMode.AUTO, 5_000, clock)
    collect_notices(forward, 24)
    clock.seconds = compiled_seconds
    (notice,) = collect_notices(forward, 30)
    assert message in notice
    assert (forward._compiled is None) == (compiled_seconds == 1.0)
    torch.testing.assert_close(forward(IMAGES), student(IMAGES))


def test_a_run_continues_on_a_machine_that_cannot_compile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(_graph: object, _inputs: object) -> None:
        raise OSError("no compiler")

    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=broken))
    forward = CompiledForward(SmallNetwork(), CompileMode.AUTO, 5_000, FakeClock(1))
    first, second = collect_notices(forward, 40)
    assert "minutes of training are left" in first
    assert "cannot be compiled on this machine" in second
    forward = CompiledForward(SmallNetwork(), CompileMode.ALWAYS, 5_000, FakeClock(1))
    with pytest.raises(SpecError, match="cannot be compiled") as caught:
        collect_notices(forward, 1)
    assert caught.value.pointer == "/training/compile"
    torch._dynamo.reset()


def test_a_run_yields_the_notice(traced_graphs: Traced, tmp_path: Path) -> None:
    run = replace(make_run(tmp_path, epochs=10, compile="auto"), clock=FakeClock(200))
    messages = notice_messages(train(run))
    assert traced_graphs == [run.state.student]
    assert len(messages) == 1
    assert "Compiling the student" in messages[0]
