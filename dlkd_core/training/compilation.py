"""The student's forward pass, compiled if the run is long enough for compilation to pay off.

Compiling takes a minute or more and saves at most a few tenths of the step time. In auto mode, the
first steps are timed. The student is compiled if the remaining steps would save more time than
compiling takes. If compiled steps are not faster, training returns to the eager forward pass.
"""

from itertools import pairwise
from statistics import median

import torch
from torch import Tensor, nn

from dlkd_core.distributed.process_group import Clock
from dlkd_core.errors import SpecError
from dlkd_core.network_outputs import ForwardFn, Outputs
from dlkd_core.training_spec import CompileMode

COMPILE_SECONDS = 90  # measured: 56 to 95 s for CIFAR networks on two cores
EXPECTED_GAIN = 0.09  # fraction of the step time; measured: 9 to 15 % for the same networks
_WARMUP_STEPS = 3  # steps that are not timed, because they warm up or compile
_MEASURED_STEPS = 20


class CompiledForward:
    """The forward pass of a student, eager or compiled.

    Call `record_step` after each training step that uses this forward pass.

    Args:
        student: The network.
        mode: When to compile it.
        steps: Number of remaining steps.
        clock: Returns the time in seconds.
    """

    def __init__(self, student: nn.Module, mode: CompileMode, steps: int, clock: Clock) -> None:
        self._student, self._mode, self._steps_left, self._clock = student, mode, steps, clock
        self._compiled: ForwardFn | None = None
        if mode == CompileMode.ALWAYS:
            self._compiled = torch.compile(student)
        self._measuring = mode == CompileMode.AUTO
        self._step_times: list[float] = []  # end times of steps with the current forward pass
        self._eager_step_seconds = 0.0  # step time before compiling
        self._notice: str | None = None

    def __call__(self, images: Tensor) -> Outputs:
        """Return the student's outputs for images (N, 3, H, W)."""
        if self._compiled is not None:
            return self._run_compiled(self._compiled, images)
        outputs: Outputs = self._student(images)
        return outputs

    def _run_compiled(self, compiled: ForwardFn, images: Tensor) -> Outputs:
        # Importing this module takes seconds, but torch.compile has already imported it.
        from torch._dynamo.exc import TorchDynamoException

        try:
            return compiled(images)
        except TorchDynamoException as error:
            first_line = str(error).partition("\n")[0]
            message = f"The student cannot be compiled on this machine: {first_line}"
            if self._mode == CompileMode.ALWAYS:
                raise SpecError(
                    message,
                    hint="Remove training.compile from the spec.",
                    pointer="/training/compile",
                ) from error
        self._stop_measuring(message, revert=True)
        return self(images)

    def record_step(self) -> str | None:
        """Record a finished step and return a notice for the user, if there is one."""
        self._steps_left -= 1
        if self._measuring:
            self._step_times.append(self._clock())
            if len(self._step_times) > _WARMUP_STEPS + _MEASURED_STEPS:
                measured = self._step_times[_WARMUP_STEPS:]
                self._decide(median(end - start for start, end in pairwise(measured)))
        notice, self._notice = self._notice, None
        return notice

    def _decide(self, step_seconds: float) -> None:
        if self._compiled is not None:
            ratio = step_seconds / self._eager_step_seconds
            message = f"Compiled steps take {ratio:.0%} of the time of eager steps."
            is_slower = step_seconds >= self._eager_step_seconds
            if is_slower:
                message += " Training continues without compiling."
            self._stop_measuring(message, revert=is_slower)
        elif self._steps_left * step_seconds * EXPECTED_GAIN > COMPILE_SECONDS:
            self._compiled = torch.compile(self._student)
            self._eager_step_seconds, self._step_times = step_seconds, []
            minutes = self._steps_left * step_seconds / 60
            self._notice = (
                f"Compiling the student, because about {minutes:.0f} minutes of training are left."
            )
        else:
            self._measuring = False

    def _stop_measuring(self, notice: str, *, revert: bool) -> None:
        self._notice, self._measuring = notice, False
        if revert:
            self._compiled = None
