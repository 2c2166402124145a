"""When a student is compiled: by the pace of a run whose clock is ours."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from dlkd_core.compiling import Compiling
from dlkd_core.errors import SpecError
from dlkd_core.events import Noticed
from dlkd_core.training import train
from tests.dlkd_core.loop import new_run

IMAGES = torch.rand(2, 3, 8, 8)


Traced = list[nn.Module]


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch) -> Iterator[Traced]:
    """What is compiled, without a C++ compiler."""
    seen: Traced = []
    real = partial(torch.compile, backend="aot_eager")
    monkeypatch.setattr(torch, "compile", lambda student: (seen.append(student), real(student))[1])
    yield seen
    torch._dynamo.reset()


class Pace:
    """A clock that goes on by `seconds` whenever it is asked."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.now = seconds, 0.0

    def __call__(self) -> float:
        self.now += self.seconds
        return self.now


def told(compiling: Compiling, steps: int) -> list[str]:
    said = []
    for _ in range(steps):
        compiling(IMAGES)
        said.append(compiling.tick())
    return [one for one in said if one]


class Small(nn.Module):
    """Something to compile."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 2, 3)

    def forward(self, images: Tensor) -> Tensor:
        out: Tensor = self.layer(images)
        return out


@pytest.mark.parametrize(("seconds", "left", "times"), [(1, 500, 0), (1, 2_000, 1), (0.01, 2_000, 0)])
def test_it_is_compiled_where_what_is_left_repays_it(traced: Traced, seconds: float, left: int, times: int) -> None:
    student = Small()
    said = told(Compiling(student, "auto", left, Pace(seconds)), 30)
    assert traced == [student] * times
    assert len(said) == times
    assert all("which repay it" in one for one in said)


@pytest.mark.usefixtures("traced")
@pytest.mark.parametrize(("after", "word"), [(0.8, "take 80% of the time."), (1.0, "goes on as it was")])
def test_what_it_gave_is_told_and_in_vain_it_is_taken_back(after: float, word: str) -> None:
    pace = Pace(1)
    student = Small()
    compiling = Compiling(student, "auto", 5_000, pace)
    told(compiling, 24)
    pace.seconds = after
    (said,) = told(compiling, 30)
    assert word in said
    assert (compiling._compiled is None) == (after == 1.0)
    torch.testing.assert_close(compiling(IMAGES), student(IMAGES))


def test_where_nothing_can_be_compiled_a_run_goes_on_without(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_graph: object, _inputs: object) -> None:
        raise OSError("no compiler")

    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=broken))
    said = told(Compiling(Small(), "auto", 5_000, Pace(1)), 40)
    assert ["which repay it" in said[0], "cannot be compiled on this machine" in said[1], len(said)] == [True, True, 2]
    with pytest.raises(SpecError, match="cannot be compiled") as caught:
        told(Compiling(Small(), "always", 5_000, Pace(1)), 1)
    assert caught.value.pointer == "/training/compile"
    torch._dynamo.reset()


def test_a_run_says_so(traced: Traced, tmp_path: Path) -> None:
    run = replace(new_run(tmp_path, epochs=10, compile="auto"), clock=Pace(200))
    said = [event.message for event in train(run) if isinstance(event, Noticed)]
    assert traced == [run.state.student]
    assert len(said) == 1
    assert "is compiled" in said[0]
