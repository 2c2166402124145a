"""Learning rate schedules as functions of the step, so that there is no state to save."""

from bisect import bisect_right
from math import cos, pi

from dlkd_core.training_spec import LearningRateSchedule, ScheduleName


def learning_rate_factor(
    schedule: LearningRateSchedule, step: int, steps: int, steps_per_epoch: int
) -> float:
    """Return the factor by which the base learning rate is multiplied at `step` (counted from 0).

    The milestones and the cosine curve are relative to the total number of steps, `steps`, which
    includes the warm-up. The schedule of the DLKD paper multiplies the rate by 0.1 after epochs
    150, 180 and 210 of 240.
    """
    warmup_steps = schedule.warmup_epochs * steps_per_epoch
    if step < warmup_steps:
        return min(1.0, (step + 1) / warmup_steps)  # warmup_steps can be less than 1
    if schedule.name == ScheduleName.STEP:
        passed = bisect_right(sorted(schedule.milestones), step / steps + 1e-9)
        return float(schedule.gamma**passed)
    if schedule.name == ScheduleName.LINEAR:
        return (steps - step) / (steps - warmup_steps)
    if schedule.name == ScheduleName.COSINE:
        return 0.5 * (1 + cos(pi * step / steps))
    return 1.0
