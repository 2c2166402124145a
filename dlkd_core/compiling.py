"""The student's forward pass, compiled where the run is long enough to repay it.

Compiling takes a minute or more and gives some tenths at most, so "auto" decides by the run's own pace: it watches the first
steps, compiles where what is left would gain more than the build costs, and goes back where compiled steps are no faster.
"""

from itertools import pairwise
from statistics import median

import torch
from torch import Tensor, nn

from dlkd_core.budget import Clock
from dlkd_core.errors import SpecError
from dlkd_core.outputs import Outputs
from dlkd_core.precision import Forward
from dlkd_core.training_spec import CompileName

BUILD_SECONDS = 90  # 56 to 95 s were measured for CIFAR networks on two cores
GAIN = 0.09  # of a step; 9 to 15 % were measured there
_PASSED = 3  # steps that warm up, or build
_WATCHED = 20


class Compiling:
    """The forward pass of a student, to be told of each step that was made with it.

    Args:
        student: the network.
        wanted: as in the spec.
        steps: that will be made.
        clock: seconds.
    """

    def __init__(self, student: nn.Module, wanted: CompileName, steps: int, clock: Clock) -> None:
        self._student, self._wanted, self._left, self._clock = student, wanted, steps, clock
        self._compiled: Forward | None = torch.compile(student) if wanted == "always" else None
        self._watching = wanted == "auto"
        self._ends: list[float] = []  # of the steps since the forward pass is what it is
        self._before = 0.0  # seconds of a step before it was compiled
        self._told: str | None = None

    def __call__(self, images: Tensor) -> Outputs:
        """Images (N, 3, H, W) to the student's outputs."""
        outputs: Outputs = self._student(images) if self._compiled is None else self._by(self._compiled, images)
        return outputs

    def _by(self, compiled: Forward, images: Tensor) -> Outputs:
        from torch._dynamo.exc import TorchDynamoException  # it takes seconds, but where something is compiled it is there

        try:
            return compiled(images)
        except TorchDynamoException as error:
            why = f"The student cannot be compiled on this machine: {str(error).partition(chr(10))[0]}"
            if self._wanted == "always":
                raise SpecError(why, hint="Leave compile out.", pointer="/training/compile") from error
        self._end(why, back=True)
        return self(images)

    def tick(self) -> str | None:
        """Notes that a step is finished; returns what there is to tell."""
        self._left -= 1
        if self._watching:
            self._ends.append(self._clock())
            if len(self._ends) > _PASSED + _WATCHED:
                self._decide(median(end - begin for begin, end in pairwise(self._ends[_PASSED:])))
        told, self._told = self._told, None
        return told

    def _decide(self, pace: float) -> None:
        if self._compiled is not None:
            slower = pace >= self._before
            told = f"Compiled steps take {pace / self._before:.0%} of the time"
            self._end(f"{told}: the student goes on as it was." if slower else f"{told}.", back=slower)
        elif self._left * pace * GAIN > BUILD_SECONDS:
            self._compiled, self._before, self._ends = torch.compile(self._student), pace, []
            self._told = f"The student is compiled: about {self._left * pace / 60:.0f} minutes are left, which repay it."
        else:
            self._watching = False

    def _end(self, told: str, *, back: bool) -> None:
        self._told, self._watching = told, False
        if back:
            self._compiled = None
